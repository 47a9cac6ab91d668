"""Makes timelines of canonical tables, in memory.

Events that were logged twice are merged, ids become dense indices, each user's events are put in order of time, and it
is marked where the validation and the test days begin. What became of every row is counted.
"""

import dataclasses
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from data import clock, feedback, ranges, splits, undo, vocabulary
from data.items import buckets, catalogue
from data.raw.tables import FEEDBACK_COLUMNS, Tables, merge_relogged
from data.timelines import EVENT_DTYPES, SPLITS
from runtime.errors import DataError

USER_ATTRIBUTE = "user."  # before the name of each attribute of users, as catalogue.ATTRIBUTE before those of items
EARLIER_MS = 0  # the time of earlier history: unknown, and before everything else
_UNKNOWN = {"play_ms": -1, "duration_ms": -1, "questionnaire_answer": -1}  # where a log says nothing else: 0


@dataclasses.dataclass(frozen=True)
class Assembled:
    """What `timelines.write` takes, and what a user should be told; fields["counts"] is what became of each row."""

    arrays: dict[str, NDArray[Any]]
    items: pl.DataFrame
    users: pl.DataFrame
    embeddings: NDArray[np.float32] | None
    codes: pl.DataFrame
    fields: dict[str, Any]
    notes: tuple[str, ...]


def assemble(
    tables: Tables,
    *,
    valid_start_ms: int | None = None,
    test_start_ms: int | None = None,
    valid_share: float = splits.SHARE,
    test_share: float = splits.SHARE,
    min_item_count: int = 0,
) -> Assembled:
    """Makes timelines of a log.

    Args:
      valid_start_ms, test_start_ms: where validation and test begin; None is as `splits.default_moments` says, of the
        shares `valid_share` and `test_share`.
      min_item_count: items with fewer events before validation leave the catalogue, and their events are dropped.
    Errors: DataError for a log of one user, for boundaries in the wrong order and for a split without events.
    """
    tables = tables.with_ids_alike()
    merged = merge_relogged(tables.events)
    if merged["user_id"].n_unique() < 2:
        raise DataError(f"all events are of one user, '{merged['user_id'][0]}': give a log of two users or more")
    times = merged["timestamp_ms"].to_numpy()
    end = int(times.max()) + 1
    by_events = False
    if valid_start_ms is None or test_start_ms is None:
        default_valid, default_test, by_events = splits.default_moments(
            times, valid_share=valid_share, test_share=test_share
        )
        by_events = by_events and valid_start_ms is None and test_start_ms is None
        valid_start_ms = default_valid if valid_start_ms is None else valid_start_ms
        test_start_ms = default_test if test_start_ms is None else test_start_ms
    moments = {"valid_start_ms": valid_start_ms, "test_start_ms": test_start_ms}

    notes = list(tables.notes)
    merged, undone = undo.taken_back(merged, **moments)
    for name, (lost, kept) in undone.items():
        notes.append(
            f"{name}: {lost:,} events are stored without it, as it was taken back; {kept:,} more were taken back in "
            "a later part of the split, and have it"
        )
    log, items = merged, tables.items
    if tables.earlier is not None:
        earlier = tables.earlier.with_columns(timestamp_ms=pl.lit(EARLIER_MS, pl.Int64))
        log = pl.concat([earlier, merged], how="diagonal")  # earlier first: the sort below keeps the order of ties
    if min_item_count > 0:
        log, items = _without_rare(log, items, before_ms=valid_start_ms, min_count=min_item_count)

    item_ids = vocabulary.build(log["item_id"], *([] if items is None else [items["item_id"]]))
    user_ids = vocabulary.build(log["user_id"])
    user = pl.Series("user", vocabulary.encode(log["user_id"], user_ids) - 1)
    log = log.with_columns(user).sort("user", "timestamp_ms", maintain_order=True)

    offsets = ranges.sums_before(np.bincount(log["user"].to_numpy(), minlength=len(user_ids)))
    time = log["timestamp_ms"].to_numpy()
    valid_start, test_start = splits.by_time(time, offsets, **moments)
    splits.check_no_leak(time, offsets, valid_start, test_start, **moments)

    surfaces = vocabulary.build(log["surface"]) if "surface" in log.columns else pl.Series([], dtype=pl.String)
    arrays, present = _event_arrays(log, item_ids, surfaces)
    arrays |= {"offsets": offsets, "valid_start": valid_start, "test_start": test_start}

    durations = pl.DataFrame({"item_id": log["item_id"], "duration_ms": arrays["duration_ms"]})
    trained = ranges.inside(offsets, offsets[:-1], valid_start)
    train_count = np.bincount(arrays["item"][trained], minlength=len(item_ids) + 1).astype(np.int32)
    known = catalogue.build(
        item_ids,
        items,
        attributes=tables.attributes,
        durations=durations.group_by("item_id").agg(pl.col("duration_ms").max()),
        seen=train_count > 0,
    )
    users = pl.DataFrame({"user_id": user_ids})
    notes += known.notes
    if by_events:
        notes.append(_split_by_events(merged, valid_share, test_share))
    if tables.users is not None:
        idle = len(tables.users) - int(tables.users["user_id"].is_in(user_ids.implode()).sum())
        notes += [f"{idle:,} users without an event: left out"] if idle else []
        attributes = {name: USER_ATTRIBUTE + name for name in tables.users.columns if name != "user_id"}
        users = users.join(tables.users.rename(attributes), on="user_id", how="left", maintain_order="left")
        users = _bucketed(users, np.diff(ranges.sums_before(trained)[offsets]) > 0)

    fields = {
        "vocabulary_hash": vocabulary.fingerprint(item_ids),
        "id_dtype": {"item": vocabulary.id_dtype(item_ids), "user": vocabulary.id_dtype(user_ids)},
        **moments,
        "end_ms": end,
        "item_features": known.features,
        "item_embeddings": known.embedded,
        "surfaces": surfaces.to_list(),
        "feedback": present,
        "counts": _counts(tables, merged, log),
    }
    items = known.table.with_columns(train_count=train_count)
    return Assembled(arrays, items, users, known.embeddings, known.codes, fields, tuple(notes))


def _split_by_events(events: pl.DataFrame, valid_share: float, test_share: float) -> str:
    """Why the log was split by its events, with the widest gap, and an event before it and after it."""
    time = events["timestamp_ms"]
    gap = splits.widest_gap(time.to_numpy())
    before, after = (events.row(int((time == moment).arg_true()[0]), named=True) for moment in gap)
    days = (gap[1] - gap[0]) / 86_400_000
    sides = [
        f"{count:,} {where} it ('{row['user_id']}' on '{row['item_id']}' at {clock.show(row['timestamp_ms'])})"
        for count, where, row in (
            (int((time <= gap[0]).sum()), "before", before),
            (int((time >= gap[1]).sum()), "after", after),
        )
    ]
    return (
        f"split after {1 - valid_share - test_share:.0%} and {1 - test_share:.0%} of the events, as such shares of the "
        f"log's time hold too few or too many of them; its widest gap is {days:,.4g} days, with {' and '.join(sides)}; "
        "--config.valid_start and --config.test_start set other moments"
    )


def split_sizes(made: Assembled) -> dict[str, int]:
    """Events in train, valid and test."""
    edges = (
        made.arrays["offsets"][:-1],
        made.arrays["valid_start"],
        made.arrays["test_start"],
        made.arrays["offsets"][1:],
    )
    return {name: int((edges[i + 1] - edges[i]).sum()) for i, name in enumerate(SPLITS)}


def metrics(made: Assembled) -> dict[str, int]:
    """The counts as flat names."""
    counts = made.fields["counts"]
    flat = {f"rows/{name}": counts[name] for name in ("read", "kept", "merged", "earlier_history")}
    flat |= {f"rows/dropped/{reason}": count for reason, count in counts["dropped"].items()}
    flat |= {f"events/{name}": size for name, size in split_sizes(made).items()}
    return flat | {"users": len(made.users), "items": len(made.items) - 1}


def summary(made: Assembled) -> str:
    """What came in and what became of it, for people."""
    counts, fields, sizes = made.fields["counts"], made.fields, split_sizes(made)
    lines = [("rows read", counts["read"], ""), ("  kept", counts["kept"], "")]
    lines += [("  merged", counts["merged"], "logged again, or by another row of the same event")]
    lines += [("  dropped", count, reason) for reason, count in counts["dropped"].items()]
    if counts["earlier_history"]:
        lines += [("earlier history", counts["earlier_history"], "events of unknown time, before all others")]
    lines += [("train", sizes["train"], f"events, up to {clock.show(fields['valid_start_ms'])}")]
    lines += [("valid", sizes["valid"], f"events, up to {clock.show(fields['test_start_ms'])}")]
    lines += [("test", sizes["test"], f"events, up to {clock.show(fields['end_ms'])}")]
    lines += [("users", len(made.users), ""), ("items", len(made.items) - 1, "")]
    bits = made.arrays["feedback"][made.arrays["timestamp_ms"] > EARLIER_MS]
    for name in feedback.BITS:
        count = int(feedback.has(bits, name).sum())
        rate = f"{count / max(len(bits), 1):.2%} of events of known time"
        lines += [(name, count, rate if name in fields["feedback"] else "not in this log")]
    return "\n".join(f"{name:<16}{count:>13,}  {note}".rstrip() for name, count, note in lines)


def _event_arrays(
    log: pl.DataFrame, item_ids: pl.Series, surfaces: pl.Series
) -> tuple[dict[str, NDArray[Any]], list[str]]:
    """The event arrays, and the names of the feedback that this log has."""

    def column(name: str) -> NDArray[Any]:
        if name not in log.columns:
            return np.full(len(log), _UNKNOWN.get(name, 0), EVENT_DTYPES[name])
        return log[name].fill_null(_UNKNOWN.get(name, 0)).to_numpy()

    play_ms, duration_ms = column("play_ms"), column("duration_ms")
    has_play = "play_ms" in log.columns
    flags = {name: log[name].fill_null(0).to_numpy() for name in FEEDBACK_COLUMNS if name in log.columns}
    if has_play and "long_view" not in flags:
        flags["long_view"] = feedback.is_long_view(play_ms, duration_ms)
    zeros = np.zeros(len(log), EVENT_DTYPES["surface"])
    arrays = {
        "item": vocabulary.encode(log["item_id"], item_ids),
        "timestamp_ms": log["timestamp_ms"].to_numpy(),
        "play_ms": play_ms,
        "duration_ms": duration_ms,
        "dwell": feedback.dwell_bucket(play_ms),
        "feedback": feedback.to_bits(flags, play_ms=play_ms if has_play else None),
        # A column that is empty in every row has no values either.
        "surface": vocabulary.encode(log["surface"], surfaces) if len(surfaces) else zeros,
    }
    asked = ("randomly_exposed", "questionnaire_shown", "questionnaire_answer")
    arrays |= {name: column(name) for name in asked}
    return arrays, [name for name in feedback.BITS if name in flags or (name == "skip" and has_play)]


def _bucketed(users: pl.DataFrame, seen: NDArray[np.bool_]) -> pl.DataFrame:
    """Numbers as the buckets of the users `seen` [U] on the training days; a user without one has none."""
    codes = []
    for name, dtype in users.schema.items():
        if dtype == pl.Float64:
            numbers = users[name].fill_null(np.nan).to_numpy()
            code = pl.Series(name, buckets.codes(numbers, buckets.edges(numbers[seen])))
            codes.append(code.set(code == buckets.MISSING, None))
    return users.with_columns(codes)


def _without_rare(
    log: pl.DataFrame, items: pl.DataFrame | None, *, before_ms: int, min_count: int
) -> tuple[pl.DataFrame, pl.DataFrame | None]:
    counts = log.filter(pl.col("timestamp_ms") < before_ms).group_by("item_id").len()
    common = counts.filter(pl.col("len") >= min_count).select("item_id")
    if common.is_empty():
        raise DataError(f"no item has {min_count} events before validation; lower --config.min_item_count")
    log = log.join(common, on="item_id", how="semi", maintain_order="left")
    return log, None if items is None else items.join(common, on="item_id", how="semi", maintain_order="left")


def _counts(tables: Tables, merged: pl.DataFrame, log: pl.DataFrame) -> dict[str, Any]:
    earlier = int(log["timestamp_ms"].eq(EARLIER_MS).sum())
    kept = len(log) - earlier
    rows = len(tables.events) + tables.rows_joined
    dropped = {"quarantined": tables.rows_read - rows, "rare item": len(merged) - kept}
    relogged = rows - len(merged)
    if tables.rows_read != kept + relogged + sum(dropped.values()):
        raise AssertionError(f"{tables.rows_read} rows read: {kept} kept, {relogged} merged, dropped {dropped}")
    return {"read": tables.rows_read, "kept": kept, "merged": relogged, "dropped": dropped, "earlier_history": earlier}
