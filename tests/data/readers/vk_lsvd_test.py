import numpy as np
import polars as pl
import pytest

from data import clock
from data.raw.quarantine import Quarantine
from data.raw.sampled import of_share
from data.readers import named, vk_lsvd
from data.readers.vk_lsvd import layout
from runtime.errors import DataError
from tests.logs import official_logs

T = clock.parse(vk_lsvd.ORIGIN)
WEEK = 7 * 86_400_000


def read(folder, subsample="", user_share=1.0, quarantine=None):
    return layout.read_vk_lsvd(
        folder, subsample=subsample, user_share=user_share, quarantine=quarantine or Quarantine()
    )


def test_rows_are_in_order_of_time_within_their_week(tmp_path):
    official_logs.vk_lsvd(tmp_path)
    time = read(tmp_path).events["timestamp_ms"].to_numpy()
    # 40 rows in week 0, 210 in week 1, 50 in week 25, 60 in week 26.
    wanted = [T + WEEK * week + k * WEEK // n for week, n in ((0, 40), (1, 210), (25, 50), (26, 60)) for k in range(n)]
    np.testing.assert_array_equal(time, wanted)
    dataset = named("vk_lsvd")
    assert (time < clock.parse(dataset.valid_start)).sum() == 250
    assert (time >= clock.parse(dataset.test_start)).sum() == 60


def test_columns_get_their_canonical_names(tmp_path):
    official_logs.vk_lsvd(tmp_path)
    quarantine = Quarantine()
    tables = read(tmp_path, quarantine=quarantine)
    assert quarantine.column_lines()[:3] == [
        "week_00.parquet to week_26.parquet: read user_id, item_id, place as surface, timespent as play_ms, like, "
        "dislike, share, bookmark",
        "week_00.parquet to week_26.parquet: ignored platform, agent, click_on_author, open_comments",
        "items_metadata.parquet: read item_id, author_id as creator_id, duration as duration_ms",
    ]
    row = tables.events.row(by_predicate=(pl.col("user_id") == 1) & (pl.col("item_id") == 7), named=True)
    # User 1 likes item 7 for its odd distance, and has bookmarked it.
    assert {name: row[name] for name in ("surface", "play_ms", "like", "dislike", "share")} == {
        "surface": 1,
        "play_ms": 40_000,
        "like": 1,
        "dislike": 0,
        "share": 0,
    }
    bookmarked = tables.events.filter(item_id=7)
    assert bookmarked["like"].to_list() == [1] * len(bookmarked)
    assert "bookmark" not in tables.events.columns
    items = tables.items
    assert len(items) == official_logs.ITEMS  # those of the events, of more
    assert items.select("item_id", "creator_id", "duration_ms").row(9) == (9, 3, 14_000)
    vectors = np.load(tmp_path / "metadata/item_embeddings.npz")
    at = {int(item): place for place, item in enumerate(vectors["item_id"])}
    np.testing.assert_array_equal(items["embedding"].to_numpy()[9], vectors["embedding"][at[9]].astype(np.float32))
    assert tables.users.row(3) == (3, 23, 1, 3)


def test_subsamples(tmp_path):
    official_logs.vk_lsvd(tmp_path, subsample="up0.001_ip0.001")
    named_so = read(tmp_path, subsample="up0.001_ip0.001")
    within = read(tmp_path / "subsamples/up0.001_ip0.001")  # and the metadata two folders above
    assert within.events.equals(named_so.events)
    assert within.items.equals(named_so.items)
    with pytest.raises(DataError, match=r"interactions: no train/week_00.* \(in subsamples/: up0\.001_ip0\.001\)"):
        read(tmp_path)


def test_a_share_of_the_users_keeps_the_times_of_the_whole_log(tmp_path):
    official_logs.vk_lsvd(tmp_path)
    everybody, some = read(tmp_path), read(tmp_path, user_share=0.5)
    wanted = everybody.events.filter(of_share(pl.col("user_id"), 0.5))
    assert 0 < len(wanted) < len(everybody.events)
    assert some.events.equals(wanted)
    assert set(some.users["user_id"]) == set(wanted["user_id"])


def test_bad_rows_and_files_are_named(tmp_path):
    official_logs.vk_lsvd(tmp_path)
    path = tmp_path / "interactions/train/week_01.parquet"
    table = pl.read_parquet(path)
    table.with_columns(like=pl.Series([None, *table["like"][1:]])).write_parquet(path)
    with pytest.raises(DataError, match=r"week_01\.parquet: row 1, column like: is empty"):
        read(tmp_path)
    quarantine = Quarantine(enabled=True)
    tables = read(tmp_path, quarantine=quarantine)
    assert (len(tables.events), tables.rows_read) == (359, 360)
    # The second row of the week keeps its time.
    assert tables.events["timestamp_ms"][40] == T + WEEK + WEEK // 210
    table.with_columns(place=pl.lit(2**40)).write_parquet(path)
    assert read(tmp_path).events["surface"][40] == 2**40
    table.drop("dislike").write_parquet(path)
    with pytest.raises(DataError, match="no column 'dislike', only user_id, item_id"):
        read(tmp_path)
    table.write_parquet(path)
    np.savez(tmp_path / "metadata/item_embeddings.npz", item_id=np.arange(3), embedding=np.zeros((2, 64)))
    with pytest.raises(DataError, match=r"item_embeddings\.npz: embedding has shape \(2, 64\) for 3 items"):
        read(tmp_path)
    (tmp_path / "metadata/item_embeddings.npz").write_bytes(b"no")
    with pytest.raises(DataError, match=r"item_embeddings\.npz: damaged"):
        read(tmp_path)
    for name in ("items_metadata.parquet", "users_metadata.parquet", "item_embeddings.npz"):
        (tmp_path / "metadata" / name).unlink()
    assert read(tmp_path).items is None
