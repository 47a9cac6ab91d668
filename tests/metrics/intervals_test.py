import numpy as np
import pytest

from metrics import intervals


def test_values_by_hand():
    one, two = [1.0, 2.0, 3.0, 6.0], [2.0, 2.0, 3.0, 8.0]
    assert intervals.mean(one).value == (1 + 2 + 3 + 6) / 4
    assert intervals.mean([1.0, np.nan, 3.0], where=[True, False, True]).value == (1 + 3) / 2
    assert intervals.ratio(one, two).value == 12 / 15
    assert intervals.relative_change(one, two).value == pytest.approx(15 / 12 - 1)
    assert intervals.difference(one, two).value == (1 + 0 + 0 + 2) / 4
    assert intervals.difference_of_ratios((one, two), (two, [5.0] * 4)).value == pytest.approx(15 / 20 - 12 / 15)


def test_one_user_has_no_spread():
    assert intervals.mean([0.25]) == (0.25, 0.25, 0.25)


def test_equal_users_have_no_spread():
    assert intervals.ratio([1.0] * 9, [4.0] * 9) == (0.25, 0.25, 0.25)


def test_a_model_against_itself_does_not_change():
    values = np.random.default_rng(0).random(50)
    assert intervals.relative_change(values, values) == (0.0, 0.0, 0.0)
    assert intervals.difference(values, values) == (0.0, 0.0, 0.0)


def test_the_same_seed_gives_the_same_interval():
    values = np.random.default_rng(0).random(50)
    assert intervals.mean(values, seed=3) == intervals.mean(values, seed=3)
    assert intervals.mean(values, seed=3) != intervals.mean(values, seed=4)


def test_blocks_do_not_change_the_draws(monkeypatch):
    values = np.random.default_rng(0).random(40)
    whole = intervals.mean(values, samples=300)
    monkeypatch.setattr(intervals, "_BLOCK", 40 * 7)  # 7 resamples at a time
    assert intervals.mean(values, samples=300) == pytest.approx(whole, rel=1e-12)


def test_many_ratios_are_ratios_on_the_same_draws():
    rng = np.random.default_rng(5)
    hits, items, found = rng.integers(0, 3, 60), rng.integers(3, 6, 60), rng.random(60) < 0.5
    many = intervals.ratios({"a": (hits, items), "b": (found, np.ones(60))})
    assert many["a"] == pytest.approx(intervals.ratio(hits, items), rel=1e-12)
    assert many["b"] == pytest.approx(intervals.mean(found), rel=1e-12)


def test_a_mean_is_covered_as_often_as_its_level_says():
    # 300 samples of 80 exponential users with mean 2: of the 95% intervals about 93-95% hold it (they are a little
    # short for a skewed distribution); standard error of the share is 1.3%.
    rng = np.random.default_rng(0)
    held = [
        interval.low <= 2.0 <= interval.high
        for interval in (intervals.mean(rng.exponential(2.0, size=80), samples=400, seed=n) for n in range(300))
    ]
    assert 0.89 <= np.mean(held) <= 0.99


def test_the_width_is_that_of_the_standard_error():
    values = np.random.default_rng(1).normal(size=4000)
    _, low, high = intervals.mean(values, samples=4000)
    assert high - low == pytest.approx(2 * 1.96 * values.std() / np.sqrt(4000), rel=0.05)


def test_pairing_takes_out_what_users_differ_by():
    rng = np.random.default_rng(2)
    before = rng.exponential(1.0, size=500)
    after = 0.9 * before + rng.normal(0, 0.01, size=500)
    change = intervals.relative_change(before, after)
    assert change.low < -0.1 < change.high
    assert change.high - change.low < 0.01  # the spread of either mean alone is about 17%


def test_what_is_undefined_is_nan():
    assert np.isnan(intervals.mean([])).all()
    assert np.isnan(intervals.ratio([0.0, 0.0], [0.0, 0.0])).all()
    assert np.isnan(intervals.mean([1.0, 2.0], where=[False, False])).all()


def test_resamples_without_a_denominator_are_left_out():
    # One of three users has items; a resample without that user has no share, all others have exactly 1/2.
    assert intervals.ratio([1.0, 0.0, 0.0], [2.0, 0.0, 0.0]) == (0.5, 0.5, 0.5)


def test_nan_and_absurd_options_are_refused():
    with pytest.raises(ValueError, match="`where`"):
        intervals.mean([1.0, np.nan])
    with pytest.raises(ValueError, match="samples = 0"):
        intervals.mean([1.0], samples=0)
    with pytest.raises(ValueError, match=r"level = 95"):
        intervals.mean([1.0], level=95)
    with pytest.raises(ValueError, match="per-user array"):
        intervals.mean(np.zeros((2, 2)))


def test_the_jackknife_of_a_mean_is_its_standard_error():
    values = np.random.default_rng(3).random(30)
    without = (values.sum() - values) / 29
    value, low, high = intervals.jackknife(values.mean(), without)
    error = values.std(ddof=1) / np.sqrt(30)
    assert (value, low, high) == pytest.approx((values.mean(), value - 1.959964 * error, value + 1.959964 * error))
    assert np.isnan(intervals.jackknife(0.0, [])[1:]).all()


def test_flat_names_bounds_and_leaves_out_the_undefined():
    figures = {"recall@10": intervals.Interval(0.5, 0.4, 0.6), "mrr": intervals.Interval(np.nan, np.nan, np.nan)}
    assert intervals.flat(figures, "knn/") == {
        "knn/recall@10": 0.5,
        "knn/recall@10/low": 0.4,
        "knn/recall@10/high": 0.6,
    }


def test_resampled_draws_what_bootstrap_draws():
    values, weights = np.random.default_rng(0).random((2, 40))

    def pooled(times):
        return times @ values / (times @ weights)

    own = intervals.resampled(pooled, 40, samples=200, seed=3)
    assert own.shape == (201,)
    assert intervals.of_resamples(own) == pytest.approx(intervals.ratio(values, weights, samples=200, seed=3))


def test_difference_of_resamples_is_paired():
    first, second = np.random.default_rng(1).random((2, 50))

    def resampled(values):
        return intervals.resampled(lambda times: times @ values / times.sum(axis=1), 50, samples=300)

    before, after = resampled(first), resampled(second)
    assert intervals.of_resamples(after - before) == pytest.approx(intervals.difference(first, second, samples=300))
    assert intervals.of_resamples(before - before) == (0.0, 0.0, 0.0)


def test_resamples_where_the_statistic_is_undefined_are_left_out():
    nothing = intervals.of_resamples(intervals.resampled(lambda times: np.full(len(times), np.nan), 3, samples=5))
    assert np.isnan(nothing).all()
    assert intervals.of_resamples([2.0, np.nan, 1.0, 3.0], level=0.5) == (2.0, 1.5, 2.5)


def over_users_and_seeds(values, **options):
    return intervals.over_users_and_seeds({"x": values}, **options)["x"]


def paired_over_users_and_seeds(before, after, **options):
    return intervals.paired_over_users_and_seeds({"x": before}, {"x": after}, **options)["x"]


def test_over_users_and_seeds_by_hand():
    before, after = [[1.0, 3.0], [2.0, 4.0]], [[5.0, 5.0], [6.0, 6.0], [7.0, 7.0]]
    assert over_users_and_seeds(before).value == (1 + 3 + 2 + 4) / 4
    assert paired_over_users_and_seeds(before, after).value == 6 - 2.5


def test_many_figures_are_seen_on_the_same_drawn_users():
    rng = np.random.default_rng(0)
    one, other, before, after = rng.random((3, 40)), rng.random((2, 40)), rng.random((1, 40)), rng.random((3, 40))
    both = intervals.over_users_and_seeds({"one": one, "other": other}, samples=200)
    assert both["one"] == pytest.approx(over_users_and_seeds(one, samples=200))
    assert both["other"] == pytest.approx(over_users_and_seeds(other, samples=200))
    gains = intervals.paired_over_users_and_seeds({"a": before, "b": one}, {"b": other, "a": after}, samples=200)
    assert gains["a"] == pytest.approx(paired_over_users_and_seeds(before, after, samples=200))
    assert gains["b"] == pytest.approx(paired_over_users_and_seeds(one, other, samples=200))


def test_one_seed_has_an_interval_over_users_alone():
    first, second = np.random.default_rng(0).random((2, 40))
    one = paired_over_users_and_seeds(first[None], second[None], samples=200)
    assert one == pytest.approx(intervals.difference(first, second, samples=200))
    assert over_users_and_seeds(first[None], samples=200) == pytest.approx(intervals.mean(first, samples=200))


def test_seeds_alone_give_students_interval():
    # All users alike, so that nothing but the seeds varies: mean ± 4.303 sd / √3, of two degrees of freedom.
    means = np.array([0.5, 0.6, 0.7])
    value, low, high = over_users_and_seeds(np.repeat(means[:, None], 5, axis=1), samples=40_000)
    half = 4.3027 * 0.1 / np.sqrt(3)
    assert (value, low, high) == pytest.approx((0.6, 0.6 - half, 0.6 + half), abs=0.02)


def test_the_seeds_of_two_rows_differ_independently():
    # Equal rows of equal seeds: the difference is 0, but another three trainings of each would not be equal.
    values = np.repeat([[0.5], [0.6], [0.7]], 5, axis=1)
    value, low, high = paired_over_users_and_seeds(values, values)
    assert value == 0
    assert low < -0.1 < 0.1 < high
    assert over_users_and_seeds(values - values) == (0.0, 0.0, 0.0)  # trainings that belong together


@pytest.mark.parametrize(("of_users", "of_seeds"), [(1.0, 0.0), (0.0, 1.0), (2.0, 0.1)])
def test_a_gain_is_covered_as_often_as_its_level_says(of_users, of_seeds):
    # Two methods, three trainings each, 100 users: whatever varies, 95% intervals hold the true gain, 0.3; they may be
    # too wide. Of 200 the standard error is 1.5%.
    rng, held = np.random.default_rng(0), 0
    for n in range(200):
        people = rng.normal(size=100)
        old, new = (
            people + gain + of_seeds * rng.normal(size=(3, 1)) + of_users * rng.normal(size=100) for gain in (0, 0.3)
        )
        gained = paired_over_users_and_seeds(old, new, samples=300, seed=n)
        held += gained.low <= 0.3 <= gained.high
    assert held / 200 >= 0.9


def test_seeds_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"\[seeds, users\]"):
        over_users_and_seeds([1.0, 2.0])
    with pytest.raises(ValueError, match="of the same users"):
        paired_over_users_and_seeds(np.ones((2, 3)), np.ones((2, 4)))
    with pytest.raises(ValueError, match="at least one seed"):
        intervals.over_seeds(np.ones((0, 5)))
