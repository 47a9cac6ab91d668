"""What a log has, measured on prepared timelines."""

import dataclasses
import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from data import readers
from data.assembly import assemble
from data.feedback import BITS
from data.raw.quarantine import Quarantine
from data.readers.canonical.layout import read_tables
from data.traits import counted, of_counts
from tests.logs import small_world

CLICK, DISLIKE = 1 << BITS["click"], 1 << BITS["dislike"]
ITEMS = pl.DataFrame({"item_id": [None, 1, 2], "creator": [0, 1, 2], "cluster": [0, 1, 1]})


def assert_declared(made, declared, *, within):
    """What was assembled has the traits that are declared, shares of events up to a factor `within`."""
    has = dataclasses.asdict(of_counts(counted(made.arrays), made.items))
    shares = has.pop("feedback")
    assert shares.keys() == declared.feedback.keys()
    for name, share in declared.feedback.items():
        assert 1 / within < shares[name] / share < within, name
    assert {name: has[name] for name in has if name != "events"} == {
        name: value for name, value in dataclasses.asdict(declared).items() if name not in ("events", "feedback")
    }


def test_the_synthetic_feed_has_what_is_declared_of_it(tmp_path):
    small_world.write(tmp_path, num_users=150, num_events=18_000)
    made = assemble(read_tables(tmp_path / "tables", quarantine=Quarantine()))
    assert_declared(made, readers.named("tiny").traits, within=3.0)  # rare kinds are drawn seldom


@pytest.mark.skipif("HEED_DATA" not in os.environ, reason="HEED_DATA is not set: it names the folder of kuairand_pure/")
def test_kuairand_has_what_is_declared_of_it():
    pure = readers.named("kuairand_pure")
    made = assemble(pure.read(Path(os.environ["HEED_DATA"]) / "kuairand_pure", quarantine=Quarantine(), **pure.options))
    # The slice has none of the random exposures, which are a file of their own.
    assert_declared(made, dataclasses.replace(pure.traits, random_exposures=False), within=1.1)


def arrays(**changed):
    """Four events, the first of them of earlier history."""
    unknown = np.full(4, -1)
    made = {"item": np.ones(4, np.int32), "timestamp_ms": np.array([0, 1, 2, 3]), "play_ms": unknown}
    made |= {"questionnaire_answer": unknown, "randomly_exposed": np.zeros(4)}
    return made | {"feedback": np.array([CLICK, CLICK, 0, CLICK | DISLIKE], np.uint16)} | changed


def test_feedback_is_of_the_events_of_known_time():
    has = of_counts(counted(arrays()), ITEMS)
    assert has.events == 4
    assert has.feedback == {"click": 2 / 3, "dislike": 1 / 3}
    assert (has.creators, has.clusters) == (True, False)  # all items are of one cluster
    assert not any([has.play_times, has.questionnaires, has.random_exposures, has.is_explicit])


@pytest.mark.parametrize(
    ("column", "trait"),
    [("play_ms", "play_times"), ("questionnaire_answer", "questionnaires"), ("randomly_exposed", "random_exposures")],
)
def test_one_event_is_enough(column, trait):
    values = np.where(np.arange(4) == 2, 1, arrays()[column])
    assert getattr(of_counts(counted(arrays(**{column: values})), ITEMS), trait)


def test_one_item_of_a_known_upload_is_enough():
    uploaded = pl.Series([None, None, 5], dtype=pl.Int64)
    assert of_counts(counted(arrays()), ITEMS.with_columns(uploaded_ms=uploaded)).uploads
    assert not of_counts(counted(arrays()), ITEMS.with_columns(uploaded_ms=uploaded.set(uploaded == 5, None))).uploads
    assert not of_counts(counted(arrays()), ITEMS).uploads


def test_a_log_of_nothing_but_likes_and_dislikes_is_explicit():
    bits = np.array([0, DISLIKE, 1 << BITS["like"], DISLIKE], np.uint16)
    assert of_counts(counted(arrays(feedback=bits)), ITEMS).is_explicit


def test_a_log_without_events_has_nothing():
    empty = {name: values[:0] for name, values in arrays().items()}
    has = dataclasses.asdict(of_counts(counted(empty), ITEMS.drop("creator", "cluster")))
    assert not any(has.values())
