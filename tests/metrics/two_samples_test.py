import math

import numpy as np
import pytest

from metrics.two_samples import relative_changes, share


def _group(seed: int, users: int, rate: float, figures: int = 1):
    rng = np.random.default_rng(seed)
    shown = rng.integers(5, 30, size=(users, figures)).astype(float)
    return rng.binomial(shown.astype(int), rate).astype(float), shown


def test_the_change_is_the_ratio_of_ratios() -> None:
    control = (np.full((20, 2), 2.0), np.full((20, 2), 10.0))
    treatment = (np.full((30, 2), 3.0), np.full((30, 2), 12.0))
    found = relative_changes(control, treatment, samples=50)
    # 3/12 against 2/10, whoever is drawn.
    np.testing.assert_allclose(found, np.full((2, 3), 0.25 / 0.2 - 1))


def test_the_width_is_that_of_two_independent_groups() -> None:
    control, treatment = _group(0, 4_000, 0.2), _group(1, 2_000, 0.2)
    (found,) = relative_changes(control, treatment, samples=2_000)

    def relative_error(numerators, denominators):
        # Delta method for a ratio of sums.
        rate = numerators.sum() / denominators.sum()
        residuals = numerators - rate * denominators
        return math.sqrt((residuals**2).sum()) / denominators.sum() / rate

    error = math.hypot(relative_error(*control), relative_error(*treatment)) * (1 + found.value)
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.08)


def test_columns_do_not_depend_on_each_other_and_seeds_repeat() -> None:
    control, treatment = _group(2, 200, 0.3, figures=3), _group(3, 200, 0.3, figures=3)
    together = relative_changes(control, treatment, samples=100, seed=4)
    alone = relative_changes(*(tuple(part[:, 1:2] for part in g) for g in (control, treatment)), samples=100, seed=4)
    assert together[1] == alone[0]
    other = relative_changes(control, treatment, samples=100, seed=5)
    assert together[1].low != other[1].low


def test_a_figure_that_rests_on_a_handful_is_undefined() -> None:
    control, treatment = _group(6, 100, 0.5), _group(7, 100, 0.5)
    few = np.zeros((100, 1))
    few[:9] = 1
    assert np.isnan(relative_changes(control, (few, treatment[1]), samples=20)).all()
    few[9] = 1
    (enough,) = relative_changes(control, (few, treatment[1]), samples=400)
    expected = (10 / treatment[1].sum()) / (control[0].sum() / control[1].sum()) - 1
    assert enough.value == pytest.approx(expected)
    # Ten of a hundred users: a count with a standard error of √(10 · .9) = 3, a change with one of .3 (1 + change).
    assert enough.high - enough.low == pytest.approx(2 * 1.96 * 0.3 * (1 + expected), rel=0.25)
    # And of as many behind the denominator, as of likes for each dislike.
    assert np.isnan(relative_changes(control, (treatment[1], few * (np.arange(100) < 9)[:, None]), samples=20)).all()
    assert np.isfinite(relative_changes(control, (treatment[1], few), samples=20)).all()
    nothing = np.zeros((100, 1))
    assert np.isnan(relative_changes((nothing, nothing), treatment, samples=20, least_users=0)).all()


@pytest.mark.parametrize("options", [{"samples": 0}, {"level": 1.0}])
def test_impossible_options_are_refused(options) -> None:
    with pytest.raises(ValueError, match="level between 0 and 1, at least 1 sample"):
        relative_changes(_group(0, 9, 0.5), _group(1, 9, 0.5), **options)


def test_impossible_arrays_are_refused() -> None:
    group = _group(0, 9, 0.5)
    with pytest.raises(ValueError, match=r"both \[U, M\]"):
        relative_changes((group[0], group[1][:5]), group)
    with pytest.raises(ValueError, match="NaN"):
        relative_changes((np.full((9, 1), np.nan), group[1]), group)


def test_wilsons_interval_solves_its_equation() -> None:
    # The bounds p are where |k/n - p| = z sqrt(p (1 - p) / n).
    found = share(11, 200)
    assert found.value == 11 / 200
    for bound in (found.low, found.high):
        assert abs(11 / 200 - bound) == pytest.approx(1.959964 * math.sqrt(bound * (1 - bound) / 200), rel=1e-5)
    assert share(0, 50).low == 0.0
    assert share(50, 50).high == 1.0
    assert math.isnan(share(0, 0).value)
