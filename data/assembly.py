"""Makes timelines of a log, shard by shard, so that it need not fit into memory (data/shards).

Events that were logged twice are merged, ids become dense indices, each user's events are put in order of time, and it
is marked where the validation and the test days begin. What became of every row is counted.

Users lie by shard, and within a shard by id: of a log of one shard, as a small one is, by id.
"""

import contextlib
import dataclasses
import os
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from data import clock, feedback, splits, timelines, undo, vocabulary
from data.items import buckets, catalogue
from data.raw import plausibility
from data.raw.tables import Log, Tables
from data.shards import flat
from data.shards.gathered import Each, Gathered, gather, one_by_one
from data.shards.ordered import Kept
from data.shards.part import Decided, Part, item_counts, part, surfaces_of
from data.shards.spill import SHARD_ROWS
from runtime.errors import DataError
from runtime.progress import progress

USER_ATTRIBUTE = "user."  # before the name of each attribute of users, as catalogue.ATTRIBUTE before those of items


@dataclasses.dataclass(frozen=True)
class Assembled:
    """What `timelines.write` takes, and what a user should be told; fields["counts"] is what became of each row.

    arrays may be mapped from files. counts: of the events. sizes: events in train, valid and test. sample: some of the
    events where they are many, else all. first_ms: when the log begins. of_items: warnings of the items.
    """

    arrays: Mapping[str, NDArray[Any]]
    items: pl.DataFrame
    users: pl.DataFrame
    embeddings: NDArray[np.float32] | None
    codes: pl.DataFrame
    fields: dict[str, Any]
    notes: tuple[str, ...]
    counts: Counter[str]
    sizes: Mapping[str, int]
    sample: Mapping[str, NDArray[Any]]
    first_ms: int
    of_items: tuple[str, ...]

    def write(
        self,
        path: str | os.PathLike[str],
        fields: Mapping[str, Any] | None = None,
        extra: Mapping[str, str] | None = None,
    ) -> None:
        """Writes the timelines at `path`, with further fields in the manifest, and texts beside the arrays."""
        timelines.write(
            path,
            arrays=self.arrays,
            items=self.items,
            users=self.users,
            embeddings=self.embeddings,
            codes=self.codes,
            fields={**(fields or {}), **self.fields},
            extra=extra,
            counts=self.counts,
        )

    def warnings(self) -> list[str]:
        """What looks wrong about the log as a whole."""
        of_events = plausibility.warnings(
            self.sample,
            item_duration_ms=self.items["duration_ms"].to_numpy(),
            user_ids=self.users["user_id"],
            item_ids=self.items["item_id"],
        )
        return [*of_events, *self.of_items]


def assemble(
    log: Log | Tables,
    *,
    valid_start_ms: int | None = None,
    test_start_ms: int | None = None,
    valid_share: float = splits.SHARE,
    test_share: float = splits.SHARE,
    min_item_count: int = 0,
    folder: Path | None = None,
    shard_rows: int = SHARD_ROWS,
    each: Each = one_by_one,
    quiet: bool = True,
) -> Assembled:
    """Makes timelines of a log.

    Args:
      valid_start_ms, test_start_ms: where validation and test begin; None is as `splits.default_moments` says, of the
        shares `valid_share` and `test_share`.
      min_item_count: items with fewer events before validation leave the catalogue, and their events are dropped.
      folder: for files of shards, and of the arrays where there are several shards; a temporary one by default, whose
        files are gone once the arrays are. It is made when it is needed.
      shard_rows: a log of more rows has several shards. each: runs a function of shards. quiet: shows no progress.
    Errors: DataError for a log of one user, for boundaries in the wrong order and for a split without events; those of
      going through the log.
    """
    log = log.log() if isinstance(log, Tables) else log
    with tempfile.TemporaryDirectory() if folder is None else contextlib.nullcontext(folder) as name:
        place = Path(name)
        gathered = gather(log, folder=place, shard_rows=shard_rows, each=each, quiet=quiet)
        times, notes = gathered.times, gathered.notes
        by_events = False
        if valid_start_ms is None or test_start_ms is None:
            default_valid, default_test, by_events = splits.default_moments(
                times, valid_share=valid_share, test_share=test_share
            )
            by_events = by_events and valid_start_ms is None and test_start_ms is None
            valid_start_ms = default_valid if valid_start_ms is None else valid_start_ms
            test_start_ms = default_test if test_start_ms is None else test_start_ms
        moments = {"valid_start_ms": valid_start_ms, "test_start_ms": test_start_ms}
        splits.check_order(**moments)
        why = [_split_by_events(gathered, valid_share, test_share)] if by_events else []

        known, surfaces, items = gathered.known, gathered.surfaces, gathered.items
        if min_item_count > 0:
            known, surfaces = _common(gathered, each, before_ms=valid_start_ms, min_count=min_item_count)
            items = None if items is None else items.filter(pl.col("item_id").is_in(known.implode()))
        item_ids = vocabulary.build(known, *([] if items is None else [items["item_id"]]))
        decided = Decided(item_ids, _own_durations(item_ids, items), surfaces, gathered.columns, moments)
        whole = _joined(gathered, decided, place, each=each, quiet=quiet)
        arrays = dict(flat.joined(whole.parts, place / "arrays"))
        if folder is None:
            arrays = {
                name: np.array(array) if isinstance(array, np.memmap) else array for name, array in arrays.items()
            }
    splits.check_none_empty(whole.sizes, first_ms=times.first, last_ms=times.last)
    notes += whole.notes
    user_ids = pl.concat([of_shard.users for of_shard in whole.parts])

    table = catalogue.build(
        item_ids, items, duration_ms=whole.duration_ms, seen=whole.train_count > 0, first_ms=whole.first_ms
    )
    notes += [*table.notes, *why]
    users = pl.DataFrame({"user_id": user_ids})
    if gathered.users is not None:
        idle = len(gathered.users) - int(gathered.users["user_id"].is_in(user_ids.implode()).sum())
        notes += [f"{idle:,} users without an event: left out"] if idle else []
        of_user = {name: USER_ATTRIBUTE + name for name in gathered.users.columns if name != "user_id"}
        users = users.join(gathered.users.rename(of_user), on="user_id", how="left", maintain_order="left")
        users = _bucketed(users, np.concatenate([of_shard.trained for of_shard in whole.parts]))

    fields = {
        "vocabulary_hash": vocabulary.fingerprint(item_ids),
        "id_dtype": {"item": vocabulary.id_dtype(item_ids), "user": vocabulary.id_dtype(user_ids)},
        **moments,
        "end_ms": times.last + 1,
        "item_features": table.features,
        "item_embeddings": table.embedded,
        "surfaces": surfaces.to_list(),
        "feedback": decided.feedback,
        "counts": _counts(gathered, whole),
    }
    if len(whole.parts) > 1:
        # Where the users of each shard begin, and the last of them end.
        fields["shards"] = [0, *np.cumsum([len(of_shard.users) for of_shard in whole.parts]).tolist()]
    return Assembled(
        arrays,
        table.table.with_columns(train_count=whole.train_count),
        users,
        table.embeddings,
        table.codes,
        fields,
        tuple(notes),
        whole.counts,
        whole.sizes,
        flat.sampled(arrays),
        times.first,
        tuple(table.warnings),
    )


def _own_durations(item_ids: pl.Series, items: pl.DataFrame | None) -> NDArray[np.int32]:
    # Of each of the ids [N], as the table of items has it; -1 for none.
    found = np.full(len(item_ids), -1, np.int32)
    if items is not None and "duration_ms" in items.columns:
        found[vocabulary.encode(items["item_id"], item_ids) - 1] = items["duration_ms"].fill_null(-1).to_numpy()
    return found


@dataclasses.dataclass
class _Whole:
    """The parts of all shards, and what they say together: as of `Part`, of [N + 1] items."""

    parts: list[Part]
    counts: Counter[str]
    earlier: int
    sizes: dict[str, int]
    train_count: NDArray[np.int32]
    duration_ms: NDArray[np.int32]
    first_ms: NDArray[np.int64]
    notes: list[str]


def _joined(gathered: Gathered, decided: Decided, place: Path, *, each: Each, quiet: bool) -> _Whole:
    several = len(gathered.kept) > 1
    folders = [place / f"part-{number}" if several else None for number in range(len(gathered.kept))]
    rows = len(decided.items) + 1
    train_count, duration_ms = np.zeros(rows, np.int32), np.full(rows, -1, np.int32)
    first_ms = np.full(rows, timelines.NEVER_MS)
    whole = _Whole([], Counter(), 0, dict.fromkeys(splits.PARTS, 0), train_count, duration_ms, first_ms, [])
    changed: dict[str, undo.Changed] = {}
    with progress(label="write", total=len(gathered.times), unit="row", quiet=quiet or not several) as bar:
        arguments = list(zip(gathered.kept, folders, strict=True))
        for found in each(partial(part, decided=decided), arguments):
            whole.counts.update(found.counts)
            whole.earlier += found.earlier
            whole.sizes = {name: size + found.sizes[name] for name, size in whole.sizes.items()}
            train_count[found.items] += found.train_count
            duration_ms[found.items] = np.maximum(duration_ms[found.items], found.duration_ms)
            first_ms[found.items] = np.minimum(first_ms[found.items], found.first_ms)
            for name, of_shard in found.changed.items():
                changed[name] = changed.get(name, undo.Changed()).and_those(of_shard)
            whole.parts.append(found.without_items())
            gathered.kept[len(whole.parts) - 1].remove()
            bar.update(found.counts["events"])
    for name, (lost, kept, late) in sorted(changed.items()):
        if lost or kept:
            whole.notes.append(
                f"{name}: {lost:,} events are stored without it, as it was taken back; {kept:,} more were taken back "
                "in a later part of the split, and have it"
            )
        if late:
            whole.notes.append(
                f"{name}: {late:,} events are stored without it, as it was said in a later part of the split"
            )
    return whole


def _split_by_events(gathered: Gathered, valid_share: float, test_share: float) -> str:
    """Why the log was split by its events, with the widest gap, and an event before it and after it."""
    times = gathered.times
    gap = times.widest_gap()
    days = f"{(gap[1] - gap[0]) / 86_400_000:,.4g} days"
    days = "1 day" if days == "1 days" else days
    before = times.before(gap[1])
    sides = [
        f"{count:,} {where} it ('{user}' on '{item}' at {clock.show(moment)})"
        for count, where, moment, (user, item) in (
            (before, "before", gap[0], _an_event(gathered.kept, gap[0])),
            (len(times) - before, "after", gap[1], _an_event(gathered.kept, gap[1])),
        )
    ]
    return (
        f"split after {1 - valid_share - test_share:.0%} and {1 - test_share:.0%} of the events, as such shares of the "
        f"log's time hold too few or too many of them; its widest gap is {days}, with {' and '.join(sides)}; "
        "--config.valid_start and --config.test_start set other moments"
    )


def _an_event(kept: Sequence[Kept], moment: int) -> tuple[Any, Any]:
    """The user and the item of an event of this moment, of which there is one."""
    there = next(of for of in kept if moment in of.sorted_times())
    shard = there.load()
    at = int(np.flatnonzero(shard.events["timestamp_ms"].to_numpy() == moment)[0])
    user = int(np.searchsorted(np.cumsum(shard.lengths), at, side="right"))
    return shard.users[user], shard.items[int(shard.item[at]) - 1]


def metrics(made: Assembled) -> dict[str, int]:
    """The counts as flat names."""
    counts = made.fields["counts"]
    flat = {f"rows/{name}": counts[name] for name in ("read", "kept", "merged", "earlier_history")}
    flat |= {f"rows/dropped/{reason}": count for reason, count in counts["dropped"].items()}
    flat |= {f"events/{name}": size for name, size in made.sizes.items()}
    return flat | {"users": len(made.users), "items": len(made.items) - 1}


def summary(made: Assembled) -> str:
    """What came in and what became of it, for people."""
    counts, fields, sizes = made.fields["counts"], made.fields, made.sizes
    lines = [("rows read", counts["read"], ""), ("  kept", counts["kept"], "")]
    lines += [("  merged", counts["merged"], "logged again, or by another row of the same event")]
    lines += [("  dropped", count, reason) for reason, count in counts["dropped"].items()]
    if counts["earlier_history"]:
        lines += [("earlier history", counts["earlier_history"], "events of unknown time, before all others")]
    lines += [("train", sizes["train"], f"events, up to {clock.show(fields['valid_start_ms'])}")]
    lines += [("valid", sizes["valid"], f"events, up to {clock.show(fields['test_start_ms'])}")]
    lines += [("test", sizes["test"], f"events, up to {clock.show(fields['end_ms'])}")]
    lines += [("users", len(made.users), ""), ("items", len(made.items) - 1, "")]
    for name in feedback.BITS:
        count = made.counts[name]
        rate = f"{count / max(made.counts['dated'], 1):.2%} of events of known time"
        lines += [(name, count, rate if name in fields["feedback"] else "not in this log")]
    return "\n".join(f"{name:<16}{count:>13,}  {note}".rstrip() for name, count, note in lines)


def _bucketed(users: pl.DataFrame, seen: NDArray[np.bool_]) -> pl.DataFrame:
    """Numbers as the buckets of the users `seen` [U] on the training days; a user without one has none."""
    codes = []
    for name, dtype in users.schema.items():
        if dtype == pl.Float64:
            numbers = users[name].fill_null(np.nan).to_numpy()
            code = pl.Series(name, buckets.codes(numbers, buckets.edges(numbers[seen])))
            codes.append(code.set(code == buckets.MISSING, None))
    return users.with_columns(codes)


def _common(gathered: Gathered, each: Each, *, before_ms: int, min_count: int) -> tuple[pl.Series, pl.Series]:
    """The items with at least so many events before a moment, and the surfaces of their events."""
    counts = np.zeros(len(gathered.known), np.int64)
    for items, of_shard in each(partial(item_counts, before_ms=before_ms), [(kept,) for kept in gathered.kept]):
        counts[vocabulary.encode(items, gathered.known) - 1] += of_shard
    common = gathered.known.filter(pl.Series(counts >= min_count))
    if common.is_empty():
        raise DataError(f"no item has {min_count} events before validation; lower --config.min_item_count")
    if not len(gathered.surfaces):
        return common, gathered.surfaces
    return common, vocabulary.build(*each(partial(surfaces_of, items=common), [(kept,) for kept in gathered.kept]))


def _counts(gathered: Gathered, whole: _Whole) -> dict[str, Any]:
    read, rows, merged = gathered.rows_read, gathered.rows, len(gathered.times)
    kept = whole.counts["events"] - whole.earlier
    dropped = {"quarantined": read - rows, "rare item": merged - kept}
    relogged = rows - merged
    if read != kept + relogged + sum(dropped.values()):
        raise AssertionError(f"{read} rows read: {kept} kept, {relogged} merged, dropped {dropped}")
    return {"read": read, "kept": kept, "merged": relogged, "dropped": dropped, "earlier_history": whole.earlier}
