"""Loads an exported recommender: what the simulation knows of a model is this folder and nothing else.

The folder (DESIGN.md, "Exported recommender") holds `user_tower.jax`, optionally `user_step.jax`, the item vectors and
the item table. Whoever writes it can be measured, so what its manifest promises is checked here, once, at the door.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import polars as pl

from data.feedback import BITS, DWELL_EDGES_MS, mask_of
from data.reading import Reading, events_read
from runtime.artifact import open_manifest
from runtime.errors import DataError, UsageError

State = Any  # a pytree of arrays [b, ...]: what the recommender remembers of a batch of users
Start = Callable[[int], State]
Step = Callable[[State, jax.Array, jax.Array, jax.Array], tuple[State, jax.Array]]


@dataclass(frozen=True)
class Recommender:
    """A user tower as a state machine, and the items it chooses from.

    start(b) is the state of b users without history; step(state, item [b], dwell [b], feedback [b]) -> (state,
    queries [b, D]) adds one event to each history. item_vectors [N+1, D] and the rows of `items` share their index;
    row 0 is padding. `max_history` is T, the events that the model reads, and `reading` says which of a longer history;
    only where `goes_on` can more be added to a state. `fingerprint` changes with the export, `vocabulary_hash` with
    what the indices mean; `checkpoint` is the trained model's, "" where none is named.
    """

    start: Start
    step: Step
    item_vectors: np.ndarray
    items: pl.DataFrame
    max_history: int
    fingerprint: str
    vocabulary_hash: str = ""
    checkpoint: str = ""
    goes_on: bool = False
    remembered: int = 0  # of the T events, those for what was said no to
    no_mask: int = 0

    @property
    def num_items(self) -> int:
        """Items without the padding row."""
        return len(self.item_vectors) - 1

    @property
    def reading(self) -> Reading:
        """Which events of a longer history the model reads."""
        return Reading(self.max_history, self.remembered, self.no_mask)


def incremental(user_step: Callable[..., Any], *, state_size: int) -> tuple[Start, Step]:
    """(start, step) of a tower that carries a state [b, H]; zeros are the empty history."""

    def start(batch: int) -> State:
        return jnp.zeros((batch, state_size), jnp.float32)

    def step(state: State, item: jax.Array, dwell: jax.Array, feedback: jax.Array) -> tuple[State, jax.Array]:
        state, query = user_step(state, item, dwell, feedback)
        return state, query

    return start, step


def windowed(user_tower: Callable[..., jax.Array], reading: Reading, *, room: int = 0) -> tuple[Start, Step]:
    """(start, step) of a tower that reads T events: the state is the history so far, and its length.

    At most T events fit, or `room` where that is more: of those the tower is given at every step, anew, the T that
    `reading` gives, as by a server that keeps events and no state.
    """
    room = max(room, reading.length)

    def start(batch: int) -> State:
        empty = jnp.zeros((batch, room), jnp.int32)
        return (empty, empty, empty), jnp.zeros(batch, jnp.int32)

    def step(state: State, item: jax.Array, dwell: jax.Array, feedback: jax.Array) -> tuple[State, jax.Array]:
        columns, count = state
        rows, event = jnp.arange(len(item)), (item, dwell, feedback)
        columns = tuple(column.at[rows, count].set(value) for column, value in zip(columns, event, strict=True))
        at = events_read(columns[0], columns[2], reading)  # [b, T]
        read = (jnp.where(at >= 0, jnp.take_along_axis(column, at, axis=1), 0) for column in columns)
        return (columns, count + 1), user_tower(*read)

    return start, step


def reencoding(recommender: Recommender, path: str | Path, *, room: int) -> Recommender:
    """The recommender of `path`, asked by its `user_tower.jax` and `windowed` even where it could carry a state.

    room: the most events that a history will have. Errors: DataError where the file is damaged.
    """
    tower = _tower(Path(path), recommender.max_history, recommender.item_vectors.shape[1])
    start, step = windowed(tower, recommender.reading, room=room)
    return replace(recommender, start=start, step=step, goes_on=True)


def load(path: str | Path, *, flag: str = "--recommender") -> Recommender:
    """The recommender exported to `path`; its `user_step.jax` is used where there is one.

    Errors: UsageError where the folder is no recommender of this format or was exported under other feedback
    definitions; DataError where a file of it is damaged or is not what the manifest says.
    """
    folder = Path(path)
    manifest = open_manifest(folder, kind="recommender", version=1, flag=flag)
    fields = ("length", "dim", "num_items", "feedback_bits", "dwell_edges_ms")
    missing = [name for name in fields if name not in manifest]
    if missing:
        raise DataError(f"{folder / 'manifest.json'}: no field '{missing[0]}'; export the recommender again")
    for name, ours in (("feedback_bits", dict(BITS)), ("dwell_edges_ms", list(DWELL_EDGES_MS))):
        if manifest[name] != ours:
            raise UsageError(
                f"{flag}={path}: {name} is {manifest[name]}, this code's is {ours}; export it again with this code"
            )
    length, dim, num_items = (int(manifest[name]) for name in fields[:3])

    reading = _reading(folder, manifest)
    event = [("int32", ())] * 3
    carries_state = bool(manifest.get("state_size")) and (folder / "user_step.jax").is_file()
    if carries_state:
        state = ("float32", (int(manifest["state_size"]),))
        user_step = _function(folder / "user_step.jax", [state, *event], [state, ("float32", (dim,))])
        start, step = incremental(user_step, state_size=int(manifest["state_size"]))
    else:
        start, step = windowed(_tower(folder, length, dim), reading)
    # A verdict says something of the model and changes nothing about it.
    of_model = {name: value for name, value in manifest.items() if name != "verdict"}
    return Recommender(
        start=start,
        step=step,
        item_vectors=_item_vectors(folder / "item_vectors.npy", (num_items + 1, dim)),
        items=_item_table(folder / "item_table.parquet", num_items + 1),
        max_history=length,
        fingerprint=hashlib.sha256(json.dumps(of_model, sort_keys=True).encode()).hexdigest(),
        vocabulary_hash=str(manifest.get("vocabulary_hash", "")),
        checkpoint=str((manifest.get("lineage") or {}).get("checkpoint", "")),
        goes_on=carries_state,
        remembered=reading.remembered,
        no_mask=reading.no_mask,
    )


_Signature = list[tuple[str, tuple[int, ...]]]  # dtype and shape without the batch, of each array


def _reading(folder: Path, manifest: dict[str, Any]) -> Reading:
    # Whoever writes neither field reads the last T events.
    names, remembered = manifest.get("remembered_feedback", []), manifest.get("remembered_events", 0)
    try:
        return Reading(int(manifest["length"]), int(remembered), mask_of(names))
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{folder / 'manifest.json'}: remembered_events {remembered!r} of remembered_feedback {names!r} ({error}); "
            "export the recommender again"
        ) from None


def _tower(folder: Path, length: int, dim: int) -> Callable[..., Any]:
    return _function(folder / "user_tower.jax", [("int32", (length,))] * 3, [("float32", (dim,))])


def _function(path: Path, inputs: _Signature, outputs: _Signature) -> Callable[..., Any]:
    try:
        exported = jax.export.deserialize(bytearray(path.read_bytes()))
    except FileNotFoundError:
        raise DataError(f"{path}: missing; export the recommender again") from None
    except Exception as error:  # the flatbuffer reader raises whatever it trips over
        raise DataError(f"{path}: not a function saved by jax.export ({error}); export the recommender again") from None
    for what, avals, expected in (("takes", exported.in_avals, inputs), ("gives", exported.out_avals, outputs)):
        found = [(str(aval.dtype), tuple(aval.shape[1:])) for aval in avals]
        if found != expected:
            raise DataError(f"{path}: {what} {found} for each user, expected {expected}; export the recommender again")
    if isinstance(exported.in_avals[0].shape[0], int):
        raise DataError(f"{path}: exported for a fixed batch size; export it with a symbolic batch")
    backend = jax.default_backend().replace("gpu", "cuda")
    if backend not in exported.platforms:
        raise DataError(f"{path}: exported for {', '.join(exported.platforms)}; export it for {backend} too")
    return exported.call


def _item_vectors(path: Path, shape: tuple[int, int]) -> np.ndarray:
    try:
        vectors = np.load(path)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path}: cannot be read ({error}); export the recommender again") from None
    if vectors.shape != shape or vectors.dtype != np.float32:
        raise DataError(
            f"{path}: {vectors.dtype} {vectors.shape}, the manifest says float32 {shape}; export the recommender again"
        )
    if not np.isfinite(vectors).all():
        row = int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])
        raise DataError(f"{path}: row {row} is not finite; train the model again, this one has diverged")
    return vectors


def _item_table(path: Path, rows: int) -> pl.DataFrame:
    try:
        items = pl.read_parquet(path, glob=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataError(f"{path}: cannot be read ({error}); export the recommender again") from None
    if items.height != rows:
        raise DataError(f"{path}: {items.height} rows, the manifest says {rows}; export the recommender again")
    for column in ("item_id", "train_count"):
        if column not in items.columns:
            raise DataError(f"{path}: no column '{column}'; export the recommender again")
    numbers = [column for column in ("train_count", "creator", "cluster") if column in items.columns]
    for column in numbers:
        if not items.schema[column].is_integer():
            raise DataError(
                f"{path}: column '{column}' is {items.schema[column]}, not whole numbers with 0 for unknown; "
                "export the recommender again"
            )
    return items.with_columns(pl.col(numbers).fill_null(0))
