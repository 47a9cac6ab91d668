"""The comparison of a feed with a log: its figures by hand, and what counts as within the tolerance."""

import polars as pl
import pytest

from benchmarks.realism import comparison as realism
from data.timelines import Timelines
from runtime.artifact import write_json
from runtime.errors import UsageError
from simulation.world.facts import log_facts
from tests.logs.random_timelines import write as random_timelines


def _figures(**changes: float) -> dict[str, float]:
    rules = {"popularity_7d": 0.2, "item_knn": 0.3, "counts": 0.25}
    recalls = {f"{protocol}/{rule}": value for protocol in realism.PROTOCOLS for rule, value in rules.items()}
    return {**recalls, "skips/item_knn": 0.7, **dict.fromkeys(realism.TESTED_FACTS, 0.15), **changes}


def test_rules_are_compared_by_their_ratio_to_popularity_and_facts_as_they_are() -> None:
    feed = _figures(**{"next_days/popularity_7d": 0.1, "next_item/ceiling": 0.9})
    pairs = realism.compared(feed, _figures())
    assert pairs["next_days/item_knn"] == (pytest.approx(3.0), pytest.approx(1.5))
    assert pairs["next_item/counts"] == (pytest.approx(1.25), pytest.approx(1.25))
    assert pairs["next_same_cluster/hours_later"] == (0.15, 0.15)
    # The reference itself, what one of the two lacks, and what is only shown, are no part of the test.
    assert len(pairs) == 2 * 2 + len(realism.TESTED_FACTS)


def test_each_figure_is_within_the_tolerance_or_said_not_to_be() -> None:
    feed = _figures(**{"next_same_cluster/hours_later": 0.15 * 1.14, "next_same_cluster/within_a_minute": 0.15 * 0.84})
    said = {line.split()[0]: line for line in realism.lines(feed, _figures()) if "15%" in line}
    assert "within" in said["next_same_cluster/hours_later"]
    assert "OUTSIDE" in said["next_same_cluster/within_a_minute"]
    assert len(said) == 2 * 2 + len(realism.TESTED_FACTS)
    alone = realism.lines(feed, None)
    assert len(alone) == 1 + len(feed)


def test_what_a_log_has_none_of_is_outside_the_tolerance() -> None:
    lacking = _figures(**{"next_explicit_is_dislike/after_dislike": 0.0, "next_item/popularity_7d": 0.0})
    said = {line.split()[0]: line for line in realism.lines(_figures(), lacking) if "15%" in line}
    for name in ("next_explicit_is_dislike/after_dislike", "next_item/item_knn", "next_item/counts"):
        assert "nan" in said[name]
        assert "OUTSIDE" in said[name]
    assert "within" in said["next_days/item_knn"]


def test_rules_stand_in_the_order_of_what_they_find() -> None:
    assert realism.order(_figures(), "next_days") == ["item_knn", "counts", "popularity_7d"]


def test_chance_is_the_sum_of_squared_shares() -> None:
    events = pl.DataFrame({"item_id": [1, 1, 2, 3, 4]})
    items = pl.DataFrame({"item_id": [1, 2, 3, 4], "cluster_id": [7, 7, 8, None]})
    # Of the four events of a known cluster three are of 7.
    assert realism.by_chance(events, items) == {"same_cluster/by_chance": pytest.approx((3 / 4) ** 2 + (1 / 4) ** 2)}


def test_frames_of_timelines_are_what_facts_are_taken_of(tmp_path) -> None:
    random_timelines(tmp_path / "log", lengths=[6, 9, 4])
    timelines = Timelines.open(tmp_path / "log")
    events, items = realism.frames(timelines)
    assert events.height == (timelines.timestamp_ms > 0).sum()
    assert items["creator_id"][0] is None
    assert items["creator_id"][5] == 5 % 4 + 1
    facts = log_facts(events, items)
    assert facts["rate/dislike"] == pytest.approx(((timelines.feedback[timelines.timestamp_ms > 0] >> 6) & 1).mean())


def test_ages_are_counted_from_when_anybody_first_met_the_item(tmp_path) -> None:
    random_timelines(tmp_path / "log", lengths=[10, 10])
    timelines = Timelines.open(tmp_path / "log")
    found = realism.ages(timelines)
    assert 0 <= found["item_age/at_most_1_days"] <= found["item_age/at_most_7_days"] <= 1
    # All of this log happens within a second.
    assert found["item_age/at_most_1_days"] == 1.0


def test_a_model_that_was_asked_for_other_users_is_refused(tmp_path, monkeypatch) -> None:
    random_timelines(tmp_path / "log", lengths=[6, 9, 4])
    timelines = Timelines.open(tmp_path / "log")
    monkeypatch.setattr(realism, "recalls", lambda *_, **__: {"users": 3.0})
    write_json(tmp_path / "metrics.json", {"users": 3.0, "recall@100": 0.4})
    assert realism.facts(timelines, users=5, model=str(tmp_path))["next_days/plain GRU"] == 0.4
    write_json(tmp_path / "metrics.json", {"users": 2_000.0, "recall@100": 0.4})
    with pytest.raises(UsageError, match=r"metrics\.json: 2,000 users, and the rules are asked for 3; .* same --users"):
        realism.facts(timelines, users=5, model=str(tmp_path))
