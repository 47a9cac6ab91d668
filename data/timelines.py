"""The timelines artifact: every user's events in order, as memory-mapped arrays, with the splits marked.

Events lie user by user, users in any order; within a user they are ordered by time, ties in the order they were logged.
For user u

    train = [offsets[u], valid_start[u])
    valid = [valid_start[u], test_start[u])
    test  = [test_start[u], offsets[u + 1])

are positions in the event arrays. Items are dense indices 1..N, 0 is padding. Arrays on disk and mapped into memory
give gathers of millions of events a second with nothing to decode, so a batch is one fancy index.
"""

from __future__ import annotations

import dataclasses
import functools
import io
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from numpy.typing import ArrayLike, NDArray

from data import feedback, ranges, splits, traits
from data.events_read import Reader
from data.items import content
from data.items.content import CODES_SCHEMA, ItemContent
from data.traits import Traits
from runtime import artifact
from runtime.errors import DataError

KIND = "timelines"
VERSION = 5
EMBEDDINGS, CODES = "item_embeddings.npy", "item_codes.parquet"
SPLITS = splits.PARTS
END = "end"  # after the last event, when a server begins
EARLIER_MS = 0  # the time of earlier history: unknown, and before everything else
NEVER_MS = np.iinfo(np.int64).max  # later than everything

EVENT_DTYPES = {
    "item": np.int32,  # 1..N
    "timestamp_ms": np.int64,  # 0: earlier history whose time is unknown, sorted first
    "play_ms": np.int32,  # -1 unknown
    "duration_ms": np.int32,  # -1 unknown
    "dwell": np.uint8,  # feedback.dwell_bucket(play_ms)
    "feedback": np.uint16,  # feedback.BITS
    "surface": np.int32,  # dense, 0 unknown
    "randomly_exposed": np.uint8,
    "questionnaire_shown": np.uint8,
    "questionnaire_answer": np.int8,  # -1 no answer
}
_EVENTS_AT_ONCE = 1 << 22  # of histories that are looked through
USER_DTYPES = {"offsets": np.int64, "valid_start": np.int64, "test_start": np.int64}


def write(
    path: str | os.PathLike[str],
    *,
    arrays: Mapping[str, NDArray[Any]],
    items: pl.DataFrame,
    users: pl.DataFrame,
    fields: Mapping[str, Any],
    embeddings: NDArray[np.float32] | None = None,
    codes: pl.DataFrame | None = None,
    extra: Mapping[str, str] | None = None,
    counts: Counter[str] | None = None,
) -> None:
    """Writes the artifact at `path`, whole or not at all.

    Args:
      arrays: the event arrays (EVENT_DTYPES, all [E]) and `offsets` [U+1], `valid_start` [U], `test_start` [U].
      items: row i describes dense item i, row 0 is padding; users: row u describes user u. What the log itself has
        of attributes has names that begin with `item.` and `user.`, all others are Heed's.
      fields: the manifest's own fields; the three sizes and the log's traits are added here.
      embeddings: [N + 1, E] of the items as logged, zeros where unknown, or None; the manifest's `item_embeddings` says
        of which columns.
      codes: feature, value, code: what the codes of `items` stand for.
      extra: file name -> text, written beside the arrays.
      counts: of the events, as `data.traits.counted`, where they have been counted already.
    """
    num_events, num_users = len(arrays["item"]), len(arrays["offsets"]) - 1
    if arrays["offsets"][-1] != num_events or len(users) != num_users:
        raise ValueError(
            f"offsets end at {arrays['offsets'][-1]} for {num_events} events; {len(users)} users, not {num_users}"
        )
    sizes = {"num_users": num_users, "num_items": len(items) - 1, "num_events": num_events}
    dtypes = {**EVENT_DTYPES, **USER_DTYPES}
    saved = {
        name: arrays[name] if _is_file(arrays[name], dtype) else np.ascontiguousarray(arrays[name], dtype=dtype)
        for name, dtype in dtypes.items()
    }
    if embeddings is not None and len(embeddings) != len(items):
        raise ValueError(f"embeddings of {len(embeddings)} items, not {len(items)}")
    has = dataclasses.asdict(traits.of_counts(counts or traits.counted(saved), items, embeddings))
    with artifact.writing(path, kind=KIND, version=VERSION, fields={**fields, **sizes, "traits": has}) as folder:
        for name, array in saved.items():
            _save(folder / f"{name}.npy", array)
        if embeddings is not None:
            _save(folder / EMBEDDINGS, np.ascontiguousarray(embeddings, np.float32))
        _save_table(folder / "items.parquet", items)
        _save_table(folder / CODES, pl.DataFrame(schema=CODES_SCHEMA) if codes is None else codes)
        _save_table(folder / "users.parquet", users)
        for name, text in (extra or {}).items():
            (folder / name).write_text(text, encoding="utf-8")


def header(length: int, dtype: npt.DTypeLike) -> bytes:
    """What an .npy file of an array [length] begins with."""
    begin = io.BytesIO()
    described = {"shape": (length,), "fortran_order": False, "descr": np.dtype(dtype).str}
    np.lib.format.write_array_header_1_0(begin, described)
    return begin.getvalue()


def _is_file(array: NDArray[Any], dtype: npt.DTypeLike) -> bool:
    """Whether an array is the whole of an .npy file that it is mapped from."""
    return isinstance(array, np.memmap) and array.dtype == dtype and array.offset == len(header(len(array), dtype))


def _save(path: Path, array: NDArray[Any]) -> None:
    if isinstance(array, np.memmap) and _is_file(array, array.dtype):
        # Under another name the same file, where both are on one file system.
        try:
            os.link(str(array.filename), path)
        except OSError:
            shutil.copyfile(str(array.filename), path)
        return
    # Neither numpy.save nor polars says why a write failed; a file's own write does (disk full).
    with open(path, "wb") as file:
        np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
        file.write(array.data)


def _save_table(path: Path, table: pl.DataFrame) -> None:
    content = io.BytesIO()
    table.write_parquet(content)
    path.write_bytes(content.getbuffer())


@dataclasses.dataclass(frozen=True)
class Timelines:
    """An opened timelines artifact. Arrays are read-only memory maps, shapes and dtypes as EVENT_DTYPES says.

    embeddings [N + 1, E] float32: of the items, as logged, zeros where unknown; None where the log has none.
    """

    path: Path
    manifest: dict[str, Any]
    items: pl.DataFrame
    users: pl.DataFrame
    item: NDArray[np.int32]
    timestamp_ms: NDArray[np.int64]
    play_ms: NDArray[np.int32]
    duration_ms: NDArray[np.int32]
    dwell: NDArray[np.uint8]
    feedback: NDArray[np.uint16]
    surface: NDArray[np.int32]
    randomly_exposed: NDArray[np.uint8]
    questionnaire_shown: NDArray[np.uint8]
    questionnaire_answer: NDArray[np.int8]
    offsets: NDArray[np.int64]
    valid_start: NDArray[np.int64]
    test_start: NDArray[np.int64]
    embeddings: NDArray[np.float32] | None = None

    @classmethod
    def open(cls, path: str | os.PathLike[str], flag: str = "--data") -> Timelines:
        """Opens the artifact after checking every file's checksum; errors name `flag` (see artifact.open_manifest)."""
        manifest = artifact.open_manifest(path, kind=KIND, version=VERSION, flag=flag)
        folder = Path(path)
        arrays = {
            # An empty array cannot be mapped. `asarray` drops the memmap subclass, whose indexing is slower.
            name: np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r" if manifest["num_events"] else None))
            for name in (*EVENT_DTYPES, *USER_DTYPES)
        }
        items, users = (pl.read_parquet(folder / f"{name}.parquet", glob=False) for name in ("items", "users"))
        if len(arrays["item"]) != manifest["num_events"] or len(items) != manifest["num_items"] + 1:
            raise DataError(f"{folder}: array lengths do not match {artifact.MANIFEST}; write the timelines again")
        if (folder / EMBEDDINGS).is_file():
            arrays["embeddings"] = np.asarray(np.load(folder / EMBEDDINGS, mmap_mode="r"))
        return cls(path=folder, manifest=manifest, items=items, users=users, **arrays)

    @property
    def num_users(self) -> int:
        return len(self.offsets) - 1

    @property
    def fingerprint(self) -> str:
        """Digest of the manifest, which vouches for every file: the same only for the same log, split the same way."""
        return artifact.digest(self.path / artifact.MANIFEST)

    @property
    def num_items(self) -> int:
        """N: dense item indices are 1..N."""
        return len(self.items) - 1

    def item_content(self) -> ItemContent:
        """All that models of this log may know of an item before anybody has met it."""
        return content.of(self.items, self.manifest, self.embeddings)

    def item_codes(self) -> pl.DataFrame:
        """What the codes of the items' categories stand for: feature, value, code."""
        return pl.read_parquet(self.path / CODES, glob=False)

    @property
    def traits(self) -> Traits:
        """What the log has, as measured when it was prepared."""
        return Traits(**self.manifest["traits"])

    @property
    def positive_feedback(self) -> tuple[str, ...]:
        """What counts as positive in this log (`Traits.positive_feedback`)."""
        return self.traits.positive_feedback

    def bounds(self, split: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """First event and end of `split` for each user: two [U] arrays of positions."""
        edges = (self.offsets[:-1], self.valid_start, self.test_start, self.offsets[1:])
        if split not in SPLITS:
            raise ValueError(f"split '{split}': one of {', '.join(SPLITS)}")
        at = SPLITS.index(split)
        return edges[at], edges[at + 1]

    def until(self, moment: str) -> tuple[NDArray[np.int64], int]:
        """What lies before a moment, the begin of the split of that name or END: its end for each user, [U] positions,
        and the moment in ms.
        """
        if moment == END:
            return self.offsets[1:], self.manifest["end_ms"]
        return self.bounds(moment)[0], self.manifest[f"{moment}_start_ms"]

    def learned_end(self, train_on: Sequence[str]) -> NDArray[np.int64]:
        """Where what may be learned from ends for each user, [U]: `train_on` is ("train",) or ("train", "valid")."""
        if "train" not in train_on or not set(train_on) <= {"train", "valid"}:
            raise ValueError(f"train_on = {tuple(train_on)}: ('train',) or ('train', 'valid')")
        return self.test_start if "valid" in train_on else self.valid_start

    def item_counts(self, train_on: Sequence[str]) -> NDArray[np.int64]:
        """Events of each item that may be learned from, [N + 1]: what a model knows of an item, a refitted one more.

        The table's `train_count` is that of ("train",).
        """
        learned = ranges.inside(self.offsets, self.offsets[:-1], self.learned_end(train_on))
        return np.bincount(self.item[learned], minlength=self.num_items + 1)

    def item_column(self, name: str) -> NDArray[np.int64]:
        """A column of the item table that holds whole numbers, [N + 1]: 0 where unknown, or where there is none."""
        if name not in self.items.columns:
            return np.zeros(len(self.items), np.int64)
        return self.items[name].fill_null(0).to_numpy().astype(np.int64)

    def first_events(self) -> NDArray[np.int64]:
        """The position of the first event of every user who has any."""
        return self.offsets[:-1][np.diff(self.offsets) > 0]

    def user_of_event(self) -> NDArray[np.int32]:
        """The user index of every event, int32 [E]."""
        return np.repeat(np.arange(self.num_users, dtype=np.int32), np.diff(self.offsets))

    def in_split(self, *splits: str) -> NDArray[np.bool_]:
        """True for the events of any of `splits`, [E]."""
        return np.logical_or.reduce([ranges.inside(self.offsets, *self.bounds(split)) for split in splits])

    def histories(self, users: ArrayLike, before: ArrayLike, reader: Reader) -> dict[str, NDArray[np.int32]]:
        """What `reader` reads of each user's events strictly before a position: the user tower's input.

        Args:
          users: [B] user indices. before: [B] positions in the event arrays. reader: of this log's feedback.
        Returns:
          `item`, `dwell`, `feedback`, each int32 [B, T], events in order from the left, zeros after the last.
        """
        position = reader.positions(self.offsets[np.asarray(users)], before)
        columns: dict[str, NDArray[Any]] = {"item": self.item, "dwell": self.dwell, "feedback": self.feedback}
        return {name: read.astype(np.int32) for name, read in ranges.gathered(columns, position).items()}

    @functools.cached_property
    def by_upload(self) -> NDArray[np.int64]:
        """All items, [N], in the order of their uploads: the first `num_there` are there at a moment, others later."""
        return 1 + np.argsort(self._uploaded_ms, kind="stable")

    @functools.cached_property
    def upload_place(self) -> NDArray[np.int32]:
        """The place of each item in `by_upload`, [N + 1]; −1 of padding."""
        place = np.full(self.num_items + 1, -1, np.int32)
        place[self.by_upload] = np.arange(self.num_items)
        return place

    def num_there(self, time_ms: ArrayLike) -> NDArray[np.int64]:
        """How many items are uploaded by moments of any shape; one whose upload is unknown has always been there."""
        return np.searchsorted(self._uploads, time_ms, side="right")

    def num_there_at(self, event: NDArray[np.integer]) -> NDArray[np.int32]:
        """How many items there are when events at positions [n] happen, its own item among them: int32 [n]."""
        return self.num_there(self.timestamp_ms[event]).astype(np.int32)

    def later(self, time_ms: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Which items are uploaded after moments [B]: [B, N + 1], or [B, 1] of False where none is."""
        there = self.num_there(time_ms)[:, None]
        return self.upload_place >= there if (there < self.num_items).any() else np.zeros(there.shape, bool)

    @functools.cached_property
    def _uploads(self) -> NDArray[np.int64]:
        return np.sort(self._uploaded_ms)

    @property
    def _uploaded_ms(self) -> NDArray[np.int64]:
        # Of the items 1..N, 0 where unknown.
        return self.item_column("uploaded_ms")[1:]

    def items_met(
        self, users: NDArray[np.integer], before: NDArray[np.integer]
    ) -> tuple[NDArray[np.int64], NDArray[np.integer]]:
        """What each user has met strictly before a position, and item 0, the padding, as a recommender leaves them out.

        Args: users [B]; before [B], positions in the event arrays.
        Returns: pairs (row of [B], item), flat, rows rising: as many as events, however many items there are.
        """
        lengths = np.asarray(before - self.offsets[users]) + 1
        items = self.item[ranges.positions(self.offsets[users] - 1, lengths)]
        items[ranges.begins(lengths)] = 0
        return ranges.owners(lengths), items

    def held_out(self, split: str, names: Iterable[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The pairs of `unmet` whose items are there when `split` begins: nobody can recommend the others by then."""
        user, item = self.unmet(split, names)
        there = self.are_there(item, split)
        return user[there], item[there]

    def are_there(self, item: NDArray[np.integer], split: str) -> NDArray[np.bool_]:
        """Whether items of any shape are uploaded by the begin of `split`, valid or test."""
        uploaded_ms = self.item_column("uploaded_ms")[item]
        return uploaded_ms <= self.until(split)[1] if uploaded_ms.any() else np.ones(item.shape, bool)

    def unmet(self, split: str, names: Iterable[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The (user, item) pairs of `split` with any of the named feedback, once each, ordered by user, then item.

        Without the items that the user has met before the split begins.

        Returns: user index [M], item index [M].
        """
        start, end = self.bounds(split)
        width = self.num_items + 1
        position = ranges.positions(start, end - start)
        wanted = feedback.has(self.feedback[position], *names)
        user = ranges.owners(end - start)[wanted]
        pairs = ranges.distinct(user * width + self.item[position[wanted]])
        pairs = pairs[~self._are_met(pairs, start)]
        return pairs // width, pairs % width

    def _are_met(self, pairs: NDArray[np.int64], before: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether the user of each pair, user · (N + 1) + item, rising, has met its item before the user's position."""
        width = self.num_items + 1
        users, first = np.unique(pairs // width, return_index=True)
        begin, end = self.offsets[users], before[users]
        met = np.zeros(len(pairs), bool)
        for some in ranges.batches(end - begin, _EVENTS_AT_ONCE):
            own = slice(first[some.start], first[some.stop] if some.stop < len(users) else len(pairs))
            lengths = end[some] - begin[some]
            key = np.repeat(users[some], lengths) * width + self.item[ranges.positions(begin[some], lengths)]
            found = np.searchsorted(pairs[own], key)
            found = found[pairs[own][np.minimum(found, own.stop - own.start - 1)] == key]
            met[own.start + found] = True
        return met
