"""A log in many shards has the timelines of the log in one: the same of each user, and the same of all else."""

import dataclasses

import numpy as np
import polars as pl
import pytest

from data.assembly import assemble, summary
from data.raw.hashes import hashes
from data.raw.quarantine import Quarantine
from data.raw.tables import Log, Tables
from data.readers.canonical.layout import read_tables
from data.shards import spill
from data.shards.spill import BUCKETS, Spill, buckets
from data.timelines import EVENT_DTYPES, Timelines
from data.traits import counted
from runtime.errors import DataError

T, N = 1_650_000_000_000, 3000


def events(seed=0, users=60, gap=0):
    """A log in order of time, with ties, with rows that are logged again, and with empty cells."""
    rng = np.random.default_rng(seed)
    days = np.sort(rng.integers(0, 40, N))
    days += gap * (days > 30)
    rows = pl.DataFrame(
        {
            "user_id": pl.Series(rng.integers(0, users, N)).cast(pl.String),
            "item_id": rng.integers(0, 200, N),
            "timestamp_ms": T + days * 86_400_000,
            "play_ms": pl.Series(rng.integers(0, 60_000, N).astype(np.int32)),
            "like": pl.Series(rng.integers(0, 2, N).astype(np.int8)),
            "surface": pl.Series([(None, "tab", "feed")[n] for n in rng.integers(0, 3, N)]),
        }
    )
    return rows.with_columns(play_ms=pl.when(pl.int_range(N) % 7 > 0).then("play_ms"))


def log(rows, **parts):
    return dataclasses.replace(Tables(rows, None, None, None, len(rows)), **parts)


def by_user(made):
    """The arrays with users in order of their ids, and these ids."""
    ids = made.users["user_id"]
    order = ids.arg_sort().to_numpy()
    offsets = made.arrays["offsets"]
    events = np.concatenate([np.arange(offsets[user], offsets[user + 1]) for user in order])
    arrays = {name: made.arrays[name][events] for name in EVENT_DTYPES}
    for name in ("valid_start", "test_start"):
        arrays[name] = (made.arrays[name] - offsets[:-1])[order]
    return arrays | {"length": np.diff(offsets)[order]}, made.users.sort("user_id")


@pytest.mark.parametrize("shard_rows", [1500, 300])
@pytest.mark.parametrize("gap", [0, 300], ids=["by time", "by events"])
@pytest.mark.parametrize("min_item_count", [0, 13])
def test_shards_change_the_order_of_users_alone(shard_rows, gap, min_item_count):
    rng = np.random.default_rng(1)
    earlier = pl.DataFrame(
        {"user_id": pl.Series(rng.integers(0, 70, 500)).cast(pl.String), "item_id": rng.integers(0, 210, 500)}
    ).with_columns(long_view=pl.lit(1, pl.Int8))
    items = pl.DataFrame({"item_id": range(220), "duration_ms": pl.Series([None] * 220, dtype=pl.Int32)})
    # In the middle of the log, so that some items have events before it, each in some of the shards.
    items = items.with_columns(uploaded_ms=pl.Series(T + rng.integers(0, 40, 220) * 86_400_000))
    users = pl.DataFrame({"user_id": [str(n) for n in range(80)], "age": rng.random(80)})
    tables = log(events(gap=gap), earlier=earlier, items=items, users=users)
    whole = assemble(tables, min_item_count=min_item_count)
    sharded = assemble(tables, min_item_count=min_item_count, shard_rows=shard_rows)
    (expected, people), (found, same_people) = by_user(whole), by_user(sharded)
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)
    assert same_people.equals(people)
    assert sharded.items.equals(whole.items)
    assert any(line.startswith("uploaded_ms: ") for line in (*whole.notes, *whole.warnings()))
    bounds = sharded.fields.pop("shards")
    assert sharded.fields == whole.fields
    assert sharded.counts == whole.counts
    # Which event of a moment is named as an example may differ.
    assert [note.split(" ('")[0] for note in sharded.notes] == [note.split(" ('")[0] for note in whole.notes]
    bucket = buckets(sharded.users["user_id"])
    shard = bucket // (BUCKETS // (2 if shard_rows == 1500 else 16))
    assert bounds == [*np.searchsorted(shard, np.arange(len(bounds) - 1)), len(shard)]
    assert summary(sharded) == summary(whole)


def test_what_comes_in_pieces_is_what_comes_at_once(tmp_path):
    """Ids that are text in one file and numbers in another, a column that a file lacks, events of several rows."""
    rows = events(users=9).with_columns(pl.col("item_id") % 20)
    folder = tmp_path / "events"
    folder.mkdir()
    kinds = np.array(["view", "heart", "unheart", "hide"])[np.random.default_rng(2).integers(0, 4, N)]
    rows = rows.with_columns(event_type=pl.Series(kinds)).drop("like")
    rows.head(1000).with_columns(pl.col("user_id").cast(pl.Int64)).write_parquet(folder / "0.parquet")
    rows.slice(1000, 1000).drop("surface").write_parquet(folder / "1.parquet")
    rows.slice(2000).drop("play_ms").write_parquet(folder / "2.parquet")
    (tmp_path / "schema.yaml").write_text(
        "events:\n  event_type: {like: heart, dislike: hide, undo: {like: unheart}}\n"
    )
    whole = assemble(read_tables(tmp_path, quarantine=Quarantine()).whole())
    sharded = assemble(read_tables(tmp_path, quarantine=Quarantine()), shard_rows=300)
    (expected, people), (found, same_people) = by_user(whole), by_user(sharded)
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)
    assert same_people.equals(people)
    assert sharded.fields.pop("shards")[-1] == len(people)
    assert (sharded.fields, sharded.counts) == (whole.fields, whole.counts)
    assert sorted(sharded.notes) == sorted(whole.notes)
    assert whole.fields["counts"]["merged"] > 0


def test_arrays_of_shards_are_written_as_those_in_memory(tmp_path):
    rows = events()
    for name, folder in (("mapped", tmp_path / "scratch"), ("in memory", None)):
        made = assemble(log(rows), shard_rows=300, folder=folder)
        assert isinstance(made.arrays["item"], np.memmap) == (name == "mapped")
        assert made.counts == counted(made.arrays)
        made.write(tmp_path / name)
    one, other = tmp_path / "mapped", tmp_path / "in memory"
    assert {file.name for file in one.iterdir()} == {file.name for file in other.iterdir()}
    for file in one.iterdir():
        assert file.read_bytes() == (other / file.name).read_bytes(), file.name
    # Nothing but the arrays is left of what was written on the way.
    assert sorted(path.name for path in (tmp_path / "scratch").rglob("*") if path.is_file()) == sorted(
        [f"{name}.npy" for name in EVENT_DTYPES]
    )
    assert Timelines.open(one).num_users == 60


def test_ids_are_spread_alike_whatever_their_type():
    numbers = pl.Series([*range(-1000, 20_000), 2**63 - 1, -(2**63)])
    assert (hashes(numbers) == hashes(numbers.cast(pl.String))).all()
    # Text that is no number as numbers are written: ids of their own.
    for text in ("007", "+7", " 7", "7.0", "-0", ""):
        assert hashes(pl.Series([text]))[0] != hashes(pl.Series([7]))[0]
    words = pl.Series([f"user-{n}" for n in range(20_000)] + ["x" * n for n in range(200)])
    assert len(np.unique(hashes(words))) == len(words)
    for ids in (numbers, words):
        count = np.bincount(buckets(ids), minlength=BUCKETS)
        # Of n ids a bucket has n / 256, give or take its square root: five times that is once in millions.
        assert abs(count - len(ids) / BUCKETS).max() < 5 * np.sqrt(len(ids) / BUCKETS)


def test_all_of_a_long_id_is_hashed():
    long = "a" * 100
    ids = pl.Series([long, "b" + long[1:], long[1:] + "b", "ä" * 50, long[:-1], long[:50] + "b" + long[51:]])
    assert len(np.unique(hashes(ids))) == 6
    assert (hashes(ids[1:]) == hashes(ids)[1:]).all()  # of a slice too
    assert len(hashes(pl.Series([], dtype=pl.String))) == 0


def test_the_hash_of_an_id_is_the_same_beside_longer_ones():
    """Else a user's events would lie in several shards, and an item that is listed would be unknown."""
    ids = pl.Series(["", "a", "user-7", "x" * 8, "y" * 17, "z" * 90])
    together = hashes(ids)
    for n in range(len(ids)):
        assert hashes(ids[n : n + 1]) == together[n]


def test_events_of_a_user_lie_in_one_shard_whatever_ids_they_are_read_with():
    """Rows that are read at a time have ids of other lengths than those before."""
    events = [
        (user, 1 + at) for at in range(40) for user in ("ann", "bob", *(["a-very-long-name-" * 3] if at < 20 else []))
    ]
    rows = pl.DataFrame(
        {
            "user_id": [user for user, _ in events],
            "item_id": [f"v{at % 7}" for _, at in events],
            "timestamp_ms": [T + 60_000 * at for _, at in events],
            "like": pl.Series([1] * len(events), dtype=pl.Int8),
        }
    )
    tables = Tables(rows, None, None, None, len(rows))
    whole = assemble(tables)
    log = Log(rows.iter_slices(3), tables.log().of_users, None, None, lambda: None, lambda: (len(rows), ()))
    in_shards = assemble(log, shard_rows=5)
    assert "shards" in in_shards.fields
    assert sorted(in_shards.users["user_id"]) == sorted(whole.users["user_id"])


@pytest.mark.parametrize(("rows", "shard_rows", "shards"), [(100, 100, 1), (101, 100, 2), (401, 100, 8), (900, 1, 256)])
def test_how_many_shards_there_are(tmp_path, rows, shard_rows, shards):
    """One as long as all rows fit into it, else 2, 4, 8, …, so that none has more on average."""
    held = Spill(tmp_path / "spill", shard_rows=shard_rows)
    frame = pl.DataFrame({"user_id": range(rows), "row": range(rows)})
    for piece in frame.iter_slices(37):
        held.add(piece)
    found = held.shards()
    assert len(found) == shards
    loaded = [of_shard.load() for of_shard in found]
    assert sorted(pl.concat(loaded)["row"]) == [*range(rows)]
    assert (tmp_path / "spill").exists() == (shards > 1)
    width = BUCKETS // shards
    for number, of_shard in enumerate(loaded):
        assert set(buckets(of_shard["user_id"]).astype(int) // width) <= {number}


def test_a_users_rows_stay_in_order(tmp_path, monkeypatch):
    monkeypatch.setattr(spill, "_HELD", 50)
    held = Spill(tmp_path, shard_rows=100)
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"user_id": rng.integers(0, 9, 1000), "row": range(1000)})
    for piece in frame.iter_slices(33):
        held.add(piece)
    for of_shard in held.shards():
        rows = of_shard.load()
        assert all(rows.filter(user_id=user)["row"].is_sorted() for user in rows["user_id"].unique())


def test_what_is_wrong_with_a_log_of_shards_is_said_as_of_one():
    one_user = events().with_columns(user_id=pl.lit("u"))
    with pytest.raises(DataError, match="all events are of one user, 'u'"):
        assemble(log(one_user), shard_rows=300)
    with pytest.raises(DataError, match="no event is left for test"):
        assemble(log(events()), shard_rows=300, test_start_ms=T + 10**13)
    with pytest.raises(DataError, match="no item has 5000 events"):
        assemble(log(events()), shard_rows=300, min_item_count=5000)


def test_a_log_may_be_gone_through_in_pieces_without_files():
    rows = events()

    def again(frame):
        return Tables(frame, None, None, None, len(frame)).log().of_users(frame)

    pieces = Log(rows.iter_slices(100), again, None, None, lambda: None, lambda: (len(rows), ()))
    made, expected = assemble(pieces), assemble(log(rows))
    for name, array in expected.arrays.items():
        np.testing.assert_array_equal(made.arrays[name], array)
