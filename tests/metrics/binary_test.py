import numpy as np
import pytest

from metrics import binary


def _pairs(scores, labels, weights=None):
    # Every positive against every negative, as the definition reads.
    weights = np.ones(len(scores)) if weights is None else weights
    won = total = 0.0
    for i in np.flatnonzero(labels == 1):
        for j in np.flatnonzero(labels == 0):
            won += weights[i] * weights[j] * ((scores[i] > scores[j]) + (scores[i] == scores[j]) / 2)
            total += weights[i] * weights[j]
    return won / total if total else np.nan


def _examples(seed, size=60, levels=8):
    rng = np.random.default_rng(seed)  # few levels: many ties
    return rng.integers(0, levels, size) / levels, (rng.random(size) < 0.4).astype(int), rng.integers(0, 7, size)


@pytest.mark.parametrize("seed", range(5))
def test_auc_counts_pairs_and_half_of_ties(seed):
    scores, labels, _ = _examples(seed)
    assert binary.auc(scores, labels) == pytest.approx(_pairs(scores, labels), abs=1e-12)


def test_auc_of_known_orders():
    labels = [0, 0, 1, 1]
    assert binary.auc([1, 2, 3, 4], labels) == 1.0
    assert binary.auc([4, 3, 2, 1], labels) == 0.0
    assert binary.auc([5, 5, 5, 5], labels) == 0.5
    assert binary.auc([1, 3, 2, 4], labels) == 3 / 4
    assert binary.auc([-np.inf, 1, 1, np.inf], labels) == (2 + 1.5) / 4
    assert binary.auc([-np.inf, np.inf, -np.inf, np.inf], labels) == (0.5 + 0 + 1 + 0.5) / 4


def test_one_class_has_no_auc():
    assert np.isnan(binary.auc([1, 2], [1, 1]))
    assert np.isnan(binary.auc([1, 2], [0, 0]))
    assert np.isnan(binary.auc([], []))


def test_masked_examples_count_nowhere():
    scores, labels, groups = _examples(1)
    where = np.arange(60) % 3 > 0
    assert binary.auc(scores, labels, where=where) == pytest.approx(binary.auc(scores[where], labels[where]))
    of_groups = binary.auc_of_groups(scores, labels, groups, num_groups=7, where=where)
    kept = binary.auc_of_groups(scores[where], labels[where], groups[where], num_groups=7)
    np.testing.assert_array_equal(of_groups, kept)
    spoiled = np.where(where, scores, np.nan)
    assert binary.ece(spoiled, labels, where=where) == binary.ece(scores[where], labels[where])
    assert binary.logloss(np.clip(spoiled, 0.1, 0.9), labels, where=where) == pytest.approx(
        binary.logloss(np.clip(scores[where], 0.1, 0.9), labels[where])
    )


@pytest.mark.parametrize("seed", range(3))
def test_gauc_weighs_the_groups_that_hold_both_classes(seed):
    scores, labels, groups = _examples(seed)
    labels[groups == 2] = 1  # one class
    own = [_pairs(scores[groups == g], labels[groups == g]) for g in range(8)]
    size = np.bincount(groups, minlength=8)
    both = ~np.isnan(own)
    np.testing.assert_allclose(binary.auc_of_groups(scores, labels, groups, num_groups=8), own, atol=1e-12)
    assert not both[2]
    gauc = binary.weighted_gauc(scores, labels, groups, num_groups=8)
    weights = np.stack([np.ones(8), np.random.default_rng(seed).integers(0, 4, 8)])
    n = (weights * size)[:, both]
    np.testing.assert_allclose(gauc(weights), (n * np.array(own)[both]).sum(axis=1) / n.sum(axis=1))


def test_gauc_of_one_class_groups_is_undefined():
    gauc = binary.weighted_gauc([0.1, 0.2, 0.3, 0.4], [1, 1, 0, 1], [0, 0, 1, 1], num_groups=2)
    np.testing.assert_array_equal(gauc([[1, 1], [1, 0]]), [1.0, np.nan])


@pytest.mark.parametrize("seed", range(3))
def test_weighted_auc_is_that_of_repeated_examples(seed):
    scores, labels, groups = _examples(seed)
    weights = np.random.default_rng(seed).integers(0, 4, (5, 7))
    areas = binary.weighted_auc(scores, labels, groups, num_groups=7)(weights)
    for row, times in zip(areas, weights, strict=True):
        repeated = np.repeat(np.arange(60), times[groups])
        assert row == pytest.approx(_pairs(scores[repeated], labels[repeated]), abs=1e-12)
        assert row == pytest.approx(binary.auc(scores[repeated], labels[repeated]), abs=1e-12)


def test_weighted_auc_in_blocks_is_the_same(monkeypatch):
    scores, labels, groups = _examples(0)
    area = binary.weighted_auc(scores, labels, groups, num_groups=7)
    weights = np.random.default_rng(0).integers(0, 4, (9, 7))
    whole = area(weights)
    monkeypatch.setattr(binary, "_BLOCK", 2 * 60)
    np.testing.assert_array_equal(area(weights), whole)


def test_weighted_auc_without_one_class_is_undefined():
    area = binary.weighted_auc([0.2, 0.8], [0, 1], [0, 1], num_groups=2)
    np.testing.assert_array_equal(area([[1, 1], [1, 0]]), [1.0, np.nan])


def test_logloss_is_the_mean_of_minus_log_likelihoods():
    np.testing.assert_allclose(binary.log_losses([0.25, 0.25], [1, 0]), [-np.log(0.25), -np.log(0.75)])
    assert binary.logloss([0.25, 0.25], [1, 0]) == pytest.approx(-(np.log(0.25) + np.log(0.75)) / 2)
    assert binary.logloss([1.0, 0.0], [1, 0]) == 0.0
    assert binary.logloss([0.0], [1]) == np.inf  # certain, and wrong
    assert np.isnan(binary.logloss([], []))


def test_a_soft_label_counts_both_ways():
    p, y = np.array([0.3, 0.9, 0.5, 1.0, 0.0]), np.array([0.7, 0.25, 0.5, 1.0, 0.0])
    expected = [-0.7 * np.log(0.3) - 0.3 * np.log(0.7), -0.25 * np.log(0.9) - 0.75 * np.log(0.1), np.log(2), 0.0, 0.0]
    np.testing.assert_allclose(binary.log_losses(p, y), expected, atol=1e-15)
    assert binary.logloss(p, y) == pytest.approx(np.mean(expected))
    assert binary.log_losses([1.0], [0.5]) == np.inf
    # The least is at p = y, and is the entropy of the label.
    around = binary.log_losses([0.6, 0.7, 0.8], [0.7, 0.7, 0.7])
    assert around.argmin() == 1
    assert around[1] == pytest.approx(-0.7 * np.log(0.7) - 0.3 * np.log(0.3))


def test_soft_labels_are_a_mixture_of_hard_ones():
    """An example of label y counts as y of one that came true and 1 − y of one that did not."""
    p, y = np.array([0.2, 0.25, 0.8]), np.array([0.5, 0.25, 0.75])
    times = np.round(4 * y).astype(int)
    hard_p, hard_y = np.repeat(p, 4), np.concatenate([[1] * n + [0] * (4 - n) for n in times])
    assert binary.logloss(p, y) == pytest.approx(binary.logloss(hard_p, hard_y))
    assert binary.ece(p, y) == pytest.approx(binary.ece(hard_p, hard_y))
    np.testing.assert_allclose(binary.reliability(p, y).observed, binary.reliability(hard_p, hard_y).observed)


@pytest.mark.parametrize(
    "call",
    [
        lambda s, y, g: binary.auc(s, y),
        lambda s, y, g: binary.auc_of_groups(s, y, g, num_groups=1),
        lambda s, y, g: binary.weighted_auc(s, y, g, num_groups=1),
        lambda s, y, g: binary.weighted_gauc(s, y, g, num_groups=1),
    ],
)
def test_an_area_of_soft_labels_is_refused(call):
    with pytest.raises(ValueError, match="labels are 0 or 1"):
        call([0.1, 0.2], [0.7, 0.3], [0, 0])


def test_reliability_sorts_predictions_into_bins_of_equal_width():
    found = binary.reliability([0.0, 0.05, 0.25, 0.26, 1.0], [0, 1, 1, 0, 1])
    bins, empty = [0, 3, 14], np.setdiff1d(np.arange(15), [0, 3, 14])  # of 15: [0, 1/15), [3/15, 4/15), [14/15, 1]
    np.testing.assert_array_equal(found.examples[bins], [2, 2, 1])
    np.testing.assert_allclose(found.predicted[bins], [(0.0 + 0.05) / 2, (0.25 + 0.26) / 2, 1.0])
    np.testing.assert_allclose(found.observed[bins], [1 / 2, 1 / 2, 1.0])
    np.testing.assert_array_equal(found.examples[empty], 0)
    assert np.isnan([found.predicted[empty], found.observed[empty]]).all()


def test_ece_is_the_weighted_gap_of_the_bins():
    gap = 2 * abs(0.025 - 0.5) + 2 * abs(0.255 - 0.5) + 1 * 0.0
    assert binary.ece([0.0, 0.05, 0.25, 0.26, 1.0], [0, 1, 1, 0, 1]) == pytest.approx(gap / 5)
    assert binary.ece([0.5, 0.5], [0, 1]) == 0.0
    assert np.isnan(binary.ece([], []))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: binary.auc([0.1, np.nan], [0, 1]), "NaN"),
        (lambda: binary.auc([0.1, 0.2], [0, 2]), "labels are 0 or 1"),
        (lambda: binary.auc([0.1, 0.2], [0]), r"all \[E\]"),
        (lambda: binary.logloss([1.5], [1]), "outside 0..1"),
        (lambda: binary.auc_of_groups([0.1], [1], [3], num_groups=2), "outside 0..1"),
        (lambda: binary.weighted_auc([0.1], [1], [0], num_groups=1)([1.0]), r"\[R, 1\]"),
    ],
)
def test_impossible_inputs_are_refused(call, said):
    with pytest.raises(ValueError, match=said):
        call()
