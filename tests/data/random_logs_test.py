"""Random logs in every format, sound and unsound: refused in one line, or timelines whose counts and codes add up."""

import gzip
import json
import tempfile
import uuid
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st

from data import assembly
from data.raw.quarantine import Quarantine
from data.readers.canonical.layout import read_tables
from data.timelines import Timelines
from runtime.errors import DataError, UsageError
from tests.helpers import command_line

T = 1_650_000_000_000
USERS, ITEMS, EVENTS = 5, 8, 40
# One kind of cell each, of small numbers.
KINDS: dict[str, Any] = {
    "whole numbers": int,
    "flags": lambda x: x % 2,
    "words": lambda x: ("true", "False", "1", "0")[x % 4],
    "ratings": lambda x: x % 5 + 1,
    "hashes": lambda x: 2**63 + x,
    "large": lambda x: 2**70 + x,
    "floats": lambda x: x + 0.5 * (x == 3),
    "nan": lambda x: float("nan") if x == 3 else float(x),
    "seconds": lambda x: T // 1000 + x,
    "text": lambda x: ("a", "b", "", 'q"x', "l\nm", "c,d;e\tf|g", "ä", "\r")[x % 8],
    "zeros": lambda x: f"{x:03}",
    "iso": lambda x: f"2022-04-15T05:20:{x:02}" + ("", "Z", "+02:00")[x % 3],
    "clocks": lambda x: f"0:{x:02}",
    "nothing": lambda x: None,
}
# Those that only Parquet, or JSON too, can hold.
TYPED: dict[str, Any] = {
    "float32": lambda v: pl.Series([float(2**24 + x) for x in v], dtype=pl.Float32),
    "decimals": lambda v: pl.Series(v).cast(pl.Decimal(20, 2)),
    "bytes": lambda v: pl.Series([uuid.UUID(int=x * 2**100 + 255).bytes for x in v]),
    "categories": lambda v: pl.Series([str(x) for x in v], dtype=pl.Categorical),
    "times": lambda v: pl.Series([T + x for x in v]).cast(pl.Datetime("ms")),
    "zoned": lambda v: pl.Series([T + x for x in v]).cast(pl.Datetime("us", "Asia/Tokyo")),
    "days": lambda v: pl.Series([x + 19_000 for x in v]).cast(pl.Date),
    "spans": lambda v: pl.Series(v).cast(pl.Duration("ms")),
    "lists": lambda v: pl.Series([[x] for x in v]),
    "vectors": lambda v: pl.Series([[x / 2, 1.0] for x in v]),
    "structures": lambda v: pl.Series([{"a": x} for x in v]),
}
NAMES = (
    *("creator", "cluster", "duration", "train_count", "item", "user", "", "title", "index", "item.index", "surface"),
    *("user_id", "item_id", "creator_id", "cluster_id", "duration_ms", "play_ms", "like", "dislike", "timestamp_ms"),
    *("event_type", "uploaded_ms", "rating"),
)
LINES = (
    "timestamp_ms: {unit: s}",
    "play_ms: {column: rating, unit: s}",
    "dislike: rating <= 2",
    "like: [rating >= 4, like]",
    "event_type: {like: [a, b], dislike: [true, '1'], left_out: ['']}",
    "event_type: {column: surface, like: a}",
    "surface: title",
    "user: user_id",
)
FORMATS = ("parquet", "csv", "csv;", "csv.gz", "csv.zst", "jsonl", "jsonl.gz")
DAMAGE = (b'"', b",", b"\n", b"\r", b"\0", b"\xff", b"", b"{", b"}", b";")


@st.composite
def tables(draw: st.DrawFn, name: str, base: dict[str, list[int]]) -> tuple[str, dict[str, Any], Any]:
    """A format, columns, and what spoils the file."""
    form = draw(st.sampled_from(FORMATS))
    columns: dict[str, Any] = dict(base)
    rows = len(next(iter(base.values())))
    cells = st.lists(st.integers(0, 7), min_size=rows, max_size=rows)
    for _ in range(draw(st.integers(0, 2))):
        column = draw(st.sampled_from(NAMES))
        typed = sorted(TYPED) if form == "parquet" else []
        kind = draw(st.sampled_from(sorted(KINDS) + typed))
        drawn = draw(cells)
        columns[column] = TYPED[kind](drawn) if kind in TYPED else [KINDS[kind](x) for x in drawn]
    spoiled = draw(
        st.one_of(
            st.none(), st.lists(st.tuples(st.floats(0, 0.999), st.booleans(), st.sampled_from(DAMAGE)), max_size=2)
        )
    )
    return form, columns, spoiled


@st.composite
def logs(draw: st.DrawFn) -> dict[str, Any]:
    """Up to three tables, a schema or none, whether bad rows are set aside, and whether events lie in parts."""
    number = draw(st.randoms(use_true_random=False))
    events = {
        "user_id": [number.randrange(USERS) for _ in range(EVENTS)],
        "item_id": [number.randrange(ITEMS) for _ in range(EVENTS)],
        "timestamp_ms": [T + 1000 * n for n in range(EVENTS)],
        "like": [number.randrange(2) for _ in range(EVENTS)],
    }
    made: dict[str, Any] = {"events": draw(tables("events", events))}
    for name, base in (("items", {"item_id": [*range(ITEMS)]}), ("users", {"user_id": [*range(USERS)]})):
        if draw(st.booleans()):
            made[name] = draw(tables(name, base))
    schema = draw(st.one_of(st.just(""), st.lists(st.sampled_from(LINES), max_size=2, unique=True).map("\n  ".join)))
    return {
        "tables": made,
        "schema": schema,
        "quarantine": draw(st.booleans()),
        "parts": draw(st.sampled_from((0, 0, 2))),
    }


def put(path: Path, form: str, columns: dict[str, Any], spoiled: Any) -> None:
    """Writes a file in a format, and damages it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if form == "parquet":
        pl.DataFrame(
            {
                name: pl.Series(cells, strict=False) if isinstance(cells, list) else cells
                for name, cells in columns.items()
            }
        ).write_parquet(path)
        content = path.read_bytes()
    elif form.startswith("jsonl"):
        rows = [dict(zip(columns, row)) for row in zip(*columns.values())]
        content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    else:
        frame = pl.DataFrame(
            {name: [None if cell is None else str(cell) for cell in cells] for name, cells in columns.items()},
            schema=dict.fromkeys(columns, pl.String),
        )
        content = frame.write_csv(separator=";" if form.endswith(";") else ",").encode()
    for where, replaces, by in spoiled or []:
        at = int(where * len(content))
        content = content[:at] + by + content[at + replaces :]
    if form.endswith(".gz"):
        content = gzip.compress(content)
    elif form.endswith(".zst"):
        content = pa.compress(content, codec="zstd", asbytes=True)
    path.write_bytes(content)


def lay(folder: Path, log: dict[str, Any]) -> None:
    """Writes the log."""
    for name, (form, columns, spoiled) in log["tables"].items():
        ending = form.rstrip(";")
        if name == "events" and log["parts"]:
            half = EVENTS // 2
            for part, cut in (("a", slice(half)), ("b", slice(half, None))):
                put(
                    folder / "events" / f"part={part}" / f"0.{ending}",
                    form,
                    {c: cells[cut] for c, cells in columns.items()},
                    spoiled,
                )
        else:
            put(folder / f"{name}.{ending}", form, columns, spoiled)
    if log["schema"]:
        (folder / "schema.yaml").write_text("events:\n  " + log["schema"] + "\n")


FAST = settings(deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
NO_FILE = ("give a log of two users", "no event is left")  # what is wrong with a log as a whole


@settings(FAST, max_examples=100)
@given(log=logs())
def test_a_log_is_refused_in_words_or_adds_up(log: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lay(folder, log)
        rejected, told = Quarantine(enabled=log["quarantine"]), ""
        try:
            read = read_tables(folder, quarantine=rejected).whole()
            made = assembly.assemble(read)
        except (DataError, UsageError) as error:
            told = str(error)
        event("refused" if told else "read")
        if told:
            assert str(folder) in told or any(words in told for words in NO_FILE)
        else:
            adds_up(folder, read, made, rejected)


@settings(FAST, max_examples=2, phases=[Phase.generate])
@given(several=st.lists(logs(), min_size=6, max_size=6))
def test_prepare_ends_in_order(several: list[dict[str, Any]]) -> None:
    """Status 0 and no word of trouble, or 2 or 3 and one line of it."""
    with tempfile.TemporaryDirectory() as name:
        commands = {}
        for place, log in enumerate(several):
            lay(Path(name, str(place)), log)
            flags = [f"--data={name}/{place}", f"--workdir={name}/{place}-made", "--max_quarantine=100%"]
            quarantine = f"--quarantine={str(log['quarantine']).lower()}"
            commands[str(place)] = ["data.prepare", "--config=configs/data.py:tables", *flags, quarantine]
        ended = command_line.run(
            commands, preload=("data.assembly", "data.raw.plausibility", "data.readers.canonical.layout")
        )
        for done in ended.values():
            lines = [line for line in done.stderr.splitlines() if line and "row/s" not in line]  # progress bars
            assert (done.status in (2, 3), done.status == 0) == (len(lines) == 1, not lines), done.stderr
            event(f"status {done.status}")


def adds_up(folder: Path, read: Any, made: Any, rejected: Quarantine) -> None:
    """Each row is kept, merged or set aside; users and items are as many as the tables tell apart; codes fit."""
    assert assembly.summary(made)
    assert rejected.column_lines()
    made.warnings()
    counts = made.fields["counts"]
    of_events = rejected.frame().filter(pl.col("file").str.starts_with("events")).height
    assert counts["dropped"]["quarantined"] == of_events
    assert counts["read"] == counts["kept"] + counts["merged"] + of_events
    people = read.events["user_id"]
    things = [frame["item_id"] for frame in (read.events, read.items) if frame is not None]
    assert made.users["user_id"].n_unique() == people.n_unique()
    assert made.items["item_id"].drop_nulls().n_unique() == len({str(one) for ids in things for one in ids})
    made.write(folder / "made")
    opened = Timelines.open(folder / "made")
    for feature in opened.manifest["item_features"]:
        assert (opened.item_column(feature["name"]) < feature["cardinality"]).all()
