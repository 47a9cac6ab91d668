"""Random logs, sound and unsound: each is refused in words or becomes timelines whose counts and codes add up."""

import random
import uuid
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from data import assembly
from data.raw.quarantine import Quarantine
from data.readers.canonical import read_tables
from data.timelines import Timelines, write
from runtime.errors import DataError

T = 1_650_000_000_000
USERS, ITEMS, EVENTS = 5, 8, 40
LOGS = 40
# One kind of column each, of small numbers.
KINDS: dict[str, Callable[[list[int]], pl.Series]] = {
    "whole numbers": lambda v: pl.Series(v),
    "flags": lambda v: pl.Series([x % 2 for x in v]),
    "hashes": lambda v: pl.Series([2**63 + x for x in v], dtype=pl.UInt64),
    "floats": lambda v: pl.Series([x + 0.5 * (x == 3) for x in v]),
    "float32": lambda v: pl.Series([float(2**24 + x) for x in v], dtype=pl.Float32),
    "decimals": lambda v: pl.Series(v).cast(pl.Decimal(20, 2)),
    "text": lambda v: pl.Series([("a", "b", "", 'q"x', "l\nm", "c,d", "ä", "\r")[x % 8] for x in v]),
    "zeros": lambda v: pl.Series([f"{x:03}" for x in v]),
    "bytes": lambda v: pl.Series([uuid.UUID(int=x * 2**100 + 255).bytes for x in v]),
    "booleans": lambda v: pl.Series([x > 3 for x in v]),
    "categories": lambda v: pl.Series([str(x) for x in v], dtype=pl.Categorical),
    "times": lambda v: pl.Series([T + x for x in v]).cast(pl.Datetime("ms")),
    "spans": lambda v: pl.Series(v).cast(pl.Duration("ms")),
    "lists": lambda v: pl.Series([[x] for x in v]),
    "nothing": lambda v: pl.Series([None] * len(v)),
}
IN_CSV = sorted({*KINDS} - {"bytes", "spans", "lists"})
NAMES = (
    *("creator", "cluster", "duration", "train_count", "item", "user", "", "title", "index", "item.index", "surface"),
    *("user_id", "item_id", "creator_id", "cluster_id", "duration_ms", "play_ms", "like", "dislike", "timestamp_ms"),
)


def make(folder: Path, rng: random.Random) -> None:
    """Writes a log of up to three tables, with up to two columns each of any kind and name; some files are damaged."""
    events = {
        "user_id": pl.Series([rng.randrange(USERS) for _ in range(EVENTS)]),
        "item_id": pl.Series([rng.randrange(ITEMS) for _ in range(EVENTS)]),
        "timestamp_ms": pl.Series([T + 1000 * n for n in range(EVENTS)]),
        "like": pl.Series([rng.randrange(2) for _ in range(EVENTS)]),
    }
    tables = {"events": events, "items": {"item_id": pl.Series(range(ITEMS))}}
    tables["users"] = {"user_id": pl.Series(range(USERS))}
    for name, columns in tables.items():
        if name != "events" and rng.random() < 0.4:
            continue
        in_csv = rng.random() < 0.5
        rows = len(next(iter(columns.values())))
        for _ in range(rng.randrange(3)):
            kind = rng.choice(IN_CSV if in_csv else sorted(KINDS))
            columns[rng.choice(NAMES)] = KINDS[kind]([rng.randrange(8) for _ in range(rows)])
        if not in_csv:
            pl.DataFrame(columns).write_parquet(folder / f"{name}.parquet")
            continue
        path = folder / f"{name}.csv"
        pl.DataFrame(columns).write_csv(path, quote_style="always" if rng.random() < 0.5 else "necessary")
        content = bytearray(path.read_bytes())
        for _ in range(rng.choice((0, 0, 0, 1, 3))):
            at = rng.randrange(len(content))
            content[at : at + rng.randrange(2)] = rng.choice((b'"', b",", b"\n", b"\r", b"\0", b"\xff", b""))
        path.write_bytes(content)


@pytest.mark.parametrize("seed", range(2))
def test_a_log_is_refused_in_words_or_adds_up(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    refusals: list[str] = []
    for trial in range(LOGS):
        folder = tmp_path / str(trial)
        folder.mkdir()
        make(folder, rng)
        rejected = Quarantine(enabled=rng.random() < 0.5)
        try:
            tables = read_tables(folder, quarantine=rejected)
            made = assembly.assemble(tables)
        except DataError as error:
            refusals.append(str(error))
            continue
        assert assembly.summary(made)
        assert rejected.column_lines()
        counts = made.fields["counts"]
        of_events = rejected.frame().filter(pl.col("file").str.starts_with("events")).height
        assert counts["dropped"]["quarantined"] == of_events
        assert counts["read"] == counts["kept"] + counts["merged"] + of_events
        # As many users and items as the tables tell apart.
        for name, table in (("user_id", made.users), ("item_id", made.items)):
            known = [frame[name] for frame in (tables.events, tables.items) if frame is not None and name in frame]
            assert table[name].drop_nulls().n_unique() == len({str(one) for column in known for one in column})
        write(folder / "made", arrays=made.arrays, items=made.items, users=made.users, fields=made.fields)
        opened = Timelines.open(folder / "made")
        cardinalities = [feature["cardinality"] for feature in opened.manifest["item_features"]]
        assert (opened.item_features() < cardinalities).all()
    assert all(str(tmp_path) in told or "give a log of two users" in told for told in refusals)
    assert LOGS // 8 < len(refusals) < LOGS
