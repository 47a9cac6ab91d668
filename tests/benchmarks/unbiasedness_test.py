"""The proof of unbiasedness: truth lies beside the log row for row, and the summary does its sums."""

import numpy as np
import pytest

from benchmarks.unbiasedness.measurement import CLIPS, TRAINED, feed_of, summarise
from configs.world import get_config
from satisfaction.unbiased.estimators import ESTIMATORS, terms


@pytest.fixture(scope="module")
def feed(tmp_path_factory):
    return feed_of(get_config("tiny"), tmp_path_factory.mktemp("feed") / "timelines")


def test_truth_is_row_for_row_with_the_timelines(feed) -> None:
    log, known = feed
    answered = np.asarray(log.questionnaire_answer) >= 0
    assert all(len(column) == len(log.item) for column in known.values())
    np.testing.assert_array_equal(log.questionnaire_answer[answered], known["satisfied"][answered])
    expected = known["propensity"].sum()
    assert abs(answered.sum() - expected) < 4 * np.sqrt(expected)
    # Those who answered had the higher propensities: Σ o p / Σ o estimates Σ p² / Σ p.
    weighted = np.square(known["propensity"]).sum() / expected
    assert abs(known["propensity"][answered].mean() - weighted) < 0.2 * weighted


def test_true_propensities_bring_the_estimate_back(feed) -> None:
    log, known = feed
    truth, answers = known["probability"].mean(), np.asarray(log.questionnaire_answer)
    sums = (
        [part.sum() for part in terms(ESTIMATORS[name], answers, known["propensity"], clip=0.0)]
        for name in ("naive", "snips")
    )
    naive, snips = (numerator / denominator for numerator, denominator in sums)
    assert abs(snips - truth) < abs(naive - truth) / 2


def test_the_summary() -> None:
    def seed(truth, naive, ips, area):
        figures = {f"{name}/{kind}": ips for name in ("ips", "snips", "dr") for kind in ("true", "estimated")}
        figures |= {"truth": truth, "answered": 0.1, "naive/true": naive}
        figures |= {"naive/true/low": naive - 0.05, "naive/true/high": naive + 0.05}
        figures |= {f"auc/{name}/{kind}": area for name, kind in TRAINED} | {"auc/naive/estimated": 0.6}
        return figures | {f"clip_{limit:g}/{name}": ips for limit in CLIPS for name in ("ips", "snips")}

    found = summarise([seed(0.5, 0.7, 0.54, 0.7), seed(0.5, 0.6, 0.44, 0.5), seed(0.5, 0.6, 0.49, 0.61)])
    assert found["naive/bias"] == pytest.approx((0.2 + 0.1 + 0.1) / 3)
    assert found["naive/outside_interval"] == 3
    assert found["ips/true/bias"] == pytest.approx((0.04 - 0.06 - 0.01) / 3)
    assert found["ips/true/of_naive"] == pytest.approx(0.03 / 0.4)
    assert found["ips/true/mean_absolute_error"] == pytest.approx(0.11 / 3)
    assert found["auc/ips/true/wins"] == 2
    assert found["auc/ips/true/gain"] == pytest.approx((0.1 - 0.1 + 0.01) / 3)
    assert found["clip_0/ips/deviation"] == pytest.approx(np.std([0.04, -0.06, -0.01], ddof=1))
