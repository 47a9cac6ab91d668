"""The content of items from a log's file to the arrays that models read."""

import numpy as np
import polars as pl
import pytest

from data import timelines
from data.assembly import assemble
from data.raw.quarantine import Quarantine
from data.readers.canonical.layout import read_tables
from data.timelines import Timelines
from runtime import artifact
from runtime.errors import UsageError

T = 1_650_000_000_000


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    folder = tmp_path_factory.mktemp("content")
    user, item = np.divmod(np.arange(60), 6)
    events = {"user_id": user, "item_id": item, "timestamp_ms": T + np.arange(60) * 1000, "like": item % 2}
    pl.DataFrame(events).write_parquet(folder / "events.parquet")
    pl.DataFrame(
        {
            "item_id": [0, 1, 2, 3, 4, 5, 6],
            "cluster_id": [["a"], ["a", "b"], ["b", "c", "a"], None, ["c"], ["a"], ["b"]],
            "price": [1.5, 2.5, None, 1.5, 2.5, 1.5, 9.0],
            "look": [[1.0, 2.0], [3.0, 4.0], None, [5.0, 6.0], [7.0, 8.0], [9.0, 10.0], [0.1, 0.2]],
        }
    ).write_parquet(folder / "items.parquet")
    made = assemble(read_tables(folder, quarantine=Quarantine()))
    made.write(folder / "log")
    return Timelines.open(folder / "log")


def test_all_codes_of_an_item_stand_side_by_side(log):
    content = log.item_content()
    assert content.names == ("cluster", "item.price")
    assert content.owner == (0, 0, 0, 1)
    clusters = [[0, 0, 0], [1, 0, 0], [1, 2, 0], [2, 3, 1], [0, 0, 0], [3, 0, 0], [1, 0, 0], [2, 0, 0]]
    np.testing.assert_array_equal(content.codes[:, :3], clusters)
    np.testing.assert_array_equal(content.codes[:, 3], [0, 2, 3, 1, 2, 3, 2, 3])  # below 2.5, above, 1 is missing
    assert (content.codes.max(axis=0) < np.array(content.cardinalities)[list(content.owner)]).all()
    np.testing.assert_array_equal(log.item_column("cluster"), content.codes[:, 0])  # the first of several


def test_embeddings_are_kept_as_they_are_logged(log):
    assert log.embeddings.dtype == np.float32
    kept = [[0, 0], [1, 2], [3, 4], [0, 0], [5, 6], [7, 8], [9, 10], [0.1, 0.2]]
    np.testing.assert_array_equal(log.embeddings, np.float32(kept))
    np.testing.assert_array_equal(log.item_content().embeddings, log.embeddings)
    assert log.traits.embeddings
    assert log.manifest["item_embeddings"] == [{"name": "item.look", "size": 2}]


def test_what_codes_stand_for_is_kept(log):
    assert log.item_codes().rows() == [("cluster", "a", 1), ("cluster", "b", 2), ("cluster", "c", 3)]


def test_padding_is_zero(log):
    content = log.item_content().padded(2)
    for array in (content.codes, content.embeddings):
        assert len(array) == log.num_items + 3
        assert not array[[0, -1, -2]].any()


def test_timelines_of_an_older_format_are_refused(log, monkeypatch):
    monkeypatch.setattr(timelines, "VERSION", timelines.VERSION + 1)
    with pytest.raises(UsageError, match="--data="):
        Timelines.open(log.path)
    assert artifact.open_manifest(log.path, kind="timelines", version=timelines.VERSION - 1, flag="--data")["traits"][
        "embeddings"
    ]
