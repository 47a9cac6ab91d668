"""Goes through a log once and puts the events of its users in order, shard by shard."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import polars as pl

from data import vocabulary
from data.raw.tables import Log
from data.shards.ordered import Kept, ordered
from data.shards.spill import Rows, Spill, buckets
from data.shards.times import Times
from runtime.errors import DataError
from runtime.progress import progress

Result = TypeVar("Result")
Each = Callable[[Callable[..., Any], Sequence[tuple[Any, ...]]], Iterable[Any]]
"""(function, arguments) -> its result for each of them, in order: of a function of a shard, wherever it is run."""


def one_by_one(function: Callable[..., Result], arguments: Sequence[tuple[Any, ...]]) -> Iterator[Result]:
    """Each in turn, here."""
    return (function(*each) for each in arguments)


@dataclasses.dataclass(frozen=True)
class Gathered:
    """The events of all shards in order.

    Attributes:
      kept: of each shard. times: of the log's events. known, surfaces: items and surfaces of events, sorted.
      columns: that events of any shard have.
      items, users: tables of the log, ids of the same type as those of events, None where there are none.
      rows_read: rows of events in the files, good and bad, and rows: the good ones.
    """

    kept: list[Kept]
    times: Times
    known: pl.Series
    surfaces: pl.Series
    columns: tuple[str, ...]
    items: pl.DataFrame | None
    users: pl.DataFrame | None
    rows_read: int
    notes: list[str]

    @property
    def rows(self) -> int:
        return sum(kept.rows for kept in self.kept)


def gather(log: Log, *, folder: Path, shard_rows: int, each: Each, quiet: bool) -> Gathered:
    """Reads a log and orders it.

    Args: as of `data.assembly.assemble`. Errors: DataError for a log of one user, and those of going through the log.
    """
    spill = Spill(folder, shard_rows=shard_rows)
    with progress(label="read", total=log.expected, unit="row", quiet=quiet or log.is_read) as bar:
        for frame in log.rows:
            spill.add(frame)
            bar.update(len(frame))
    earlier = log.earlier()
    rows_read, told = log.told()
    notes = list(told)
    tables: dict[str, pl.DataFrame | None] = {"item_id": log.items, "user_id": log.users}
    dtypes = {name: _one(kinds) for name, kinds in spill.dtypes.items() if name in ("user_id", "item_id", "surface")}
    for name, other in tables.items():
        if len({dtypes[name], *(table.schema[name] for table in (other, earlier) if table is not None)}) > 1:
            notes.append(f"{name}: text in one table, numbers in another: taken as text everywhere")
            dtypes[name], as_text = pl.String(), pl.col(name).cast(pl.String)
            earlier = None if earlier is None else earlier.with_columns(as_text)
            tables[name] = None if other is None else other.with_columns(as_text)

    shards = spill.shards()
    files = [folder / f"shard-{place}.events" if len(shards) > 1 else None for place in range(len(shards))]
    function = partial(ordered, of_users=log.of_users, dtypes=dtypes)
    kept: list[Kept] = []
    items, surfaces = _Distinct(), _Distinct()
    with progress(label="order", total=spill.count, unit="row", quiet=quiet or len(shards) == 1) as bar:
        arguments = list(zip(shards, _by_shard(earlier, shards), files, strict=True))
        for of_shard, its_items, its_surfaces in each(function, arguments):
            kept.append(of_shard)
            items.add(its_items)
            surfaces.add(its_surfaces)
            bar.update(of_shard.rows + of_shard.undoing)
    spill.remove()
    if not any(of_shard.merged for of_shard in kept):
        raise log.without_events()
    if sum(of_shard.users for of_shard in kept) < 2:
        (user,) = (of_shard.a_user for of_shard in kept if of_shard.users)
        raise DataError(f"all events are of one user, '{user}': give a log of two users or more")
    columns = tuple(dict.fromkeys(name for of_shard in kept for name in of_shard.columns))
    times = Times([of_shard.sorted_times() for of_shard in kept])
    undoing = sum(of_shard.undoing for of_shard in kept)
    return Gathered(
        kept,
        times,
        items.all(),
        surfaces.all(),
        columns,
        tables["item_id"],
        tables["user_id"],
        rows_read - undoing,
        notes,
    )


def _one(dtypes: set[pl.DataType]) -> pl.DataType:
    kinds = {dtype for dtype in dtypes if dtype != pl.Null}
    return kinds.pop() if len(kinds) == 1 else pl.String()


def _by_shard(earlier: pl.DataFrame | None, shards: Sequence[Rows]) -> list[pl.DataFrame | None]:
    if earlier is None or len(shards) == 1:
        return [earlier] * len(shards)
    bucket = buckets(earlier["user_id"])
    return [earlier.filter(pl.Series(np.isin(bucket, rows.buckets))) for rows in shards]


class _Distinct:
    """The distinct ids of many columns, without all columns being in memory at once."""

    def __init__(self) -> None:
        self._known: list[pl.Series] = []
        self._bound = 1 << 20

    def add(self, ids: pl.Series) -> None:
        self._known += [ids] if len(ids) else []
        if sum(map(len, self._known)) > self._bound:
            self._known = [self.all()]
            self._bound = max(self._bound, 2 * len(self._known[0]))

    def all(self) -> pl.Series:
        return vocabulary.build(*self._known) if self._known else pl.Series([], dtype=pl.String)
