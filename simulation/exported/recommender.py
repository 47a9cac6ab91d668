"""Loads an exported recommender: what the simulation knows of a model is this folder and nothing else.

The folder that `retrieval.export` writes holds `user_tower.jax` (a history of events -> a query vector), optionally
`user_step.jax` (the state after a history, one more event -> the next state and query), the item vectors, whose inner
product with the query is the logit of an item, and the item table. Both programs take weights first, which lie beside
them (files.py: load_weights). They stay arguments: a `Step` is a `jax.tree_util.Partial`, which compiled functions take
as one more argument, and so no table is a constant of what is compiled.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
from jax.tree_util import Partial

from data.events_read import Reading, events_of
from data.feedback import mask_of
from runtime.artifact import MANIFEST
from runtime.errors import DataError
from runtime.formats import RECOMMENDER
from runtime.progress import chunks
from simulation.exported.files import load_array, load_function, load_weights, read_manifest

_ROWS = 1 << 16  # of a table, looked at together

State = Any  # a pytree of arrays [b, ...]: what the recommender remembers of a batch of users
Event = tuple[jax.Array, jax.Array, jax.Array]  # item, dwell, feedback [b]
Start = Callable[[int], State]
Step = Partial  # of (state, item, dwell, feedback [b]) -> (state, queries [b, D])


@dataclass(frozen=True)
class Recommender:
    """A user tower as a state machine, and the items it chooses from.

    start(b) is the state of b users without history; step(state, item [b], dwell [b], feedback [b]) -> (state,
    queries [b, D]) adds one event to each history. item_vectors [N+1, D] and the rows of `items` share their index;
    row 0 is padding. `reading` says which events of a history the model reads, T at most; only where `goes_on` can more
    be added to a state. `fingerprint` changes with the export, `vocabulary_hash` with what the indices mean;
    `checkpoint` is the trained model's, "" where none is named. What it knows of the log: `log`, the fingerprint of its
    timelines, the splits in `learned_from`, and in its counts what lies before `counted_until`, a moment of
    `Timelines.until`; "" where the export does not say.
    embeddings [N+1, E]: of the items, as the log has them,
    zeros where unknown, which are of `embedding_sizes` side by side; None where it has none.
    """

    start: Start
    step: Step
    item_vectors: np.ndarray
    items: pl.DataFrame
    reading: Reading
    fingerprint: str
    vocabulary_hash: str = ""
    checkpoint: str = ""
    learned_from: tuple[str, ...] = ()
    counted_until: str = ""
    log: str = ""
    goes_on: bool = False
    embeddings: np.ndarray | None = None
    embedding_sizes: tuple[int, ...] = ()

    @property
    def num_items(self) -> int:
        """Items without the padding row."""
        return len(self.item_vectors) - 1

    @property
    def max_history(self) -> int:
        """T, the most events that the model reads."""
        return self.reading.length


def begin(start: Start, step: Step, batch: int) -> tuple[State, jax.Array]:
    """State and query of `batch` users without history; that query is zeros, as no model has one for nobody."""
    state, nothing = start(batch), jnp.zeros(batch, jnp.int32)
    return state, jnp.zeros_like(jax.eval_shape(step, state, nothing, nothing, nothing)[1])


def advance(step: Step, state: State, query: jax.Array, event: Event) -> tuple[State, jax.Array]:
    """State and query [b, D] after one more event of each user; those of item 0, who have none, stay as they are."""
    after, answer = step(state, *event)
    there = event[0] > 0  # [b]

    def where_there(new: jax.Array, old: jax.Array) -> jax.Array:
        return jnp.where(there.reshape(-1, *[1] * (new.ndim - 1)), new, old)

    return jax.tree.map(where_there, after, state), where_there(answer, query)


def incremental(user_step: Callable[..., Any], *, state_size: int) -> tuple[Start, Step]:
    """(start, step) of a tower that carries a state [b, H]; zeros are the empty history.

    The weights of a `Partial` are an argument of what is compiled; those that another function closes over, constants.
    """

    def start(batch: int) -> State:
        return jnp.zeros((batch, state_size), jnp.float32)

    return start, _as_argument(user_step)


def _as_argument(function: Callable[..., Any]) -> Partial:
    return function if isinstance(function, Partial) else Partial(function)


def windowed(user_tower: Callable[..., jax.Array], reading: Reading, *, room: int = 0) -> tuple[Start, Step]:
    """(start, step) of a tower that reads T events: the state is the history so far, and its length.

    At most T events fit, or `room` where that is more: of those the tower is given at every step, anew, the T that
    `reading` gives, as by a server that keeps events and no state.
    """
    room = max(room, reading.length)

    def start(batch: int) -> State:
        empty = jnp.zeros((batch, room), jnp.int32)
        return (empty, empty, empty), jnp.zeros(batch, jnp.int32)

    def step(user_tower: Callable[..., jax.Array], state: State, *event: jax.Array) -> tuple[State, jax.Array]:
        columns, count = state
        rows = jnp.arange(len(count))
        columns = tuple(column.at[rows, count].set(value) for column, value in zip(columns, event, strict=True))
        return (columns, count + 1), user_tower(*events_of(columns, reading))

    return start, Partial(step, _as_argument(user_tower))


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
    fields = ("length", "dim", "num_items")
    manifest = read_manifest(folder, **RECOMMENDER._asdict(), model="recommender", fields=fields, flag=flag)
    length, dim, num_items = (int(manifest[name]) for name in fields)

    reading = _reading(folder, manifest)
    event = [("int32", ())] * 3
    carries_state = bool(manifest.get("state_size")) and (folder / "user_step.jax").is_file()
    if carries_state:
        state = ("float32", (int(manifest["state_size"]),))
        user_step = _function(folder / "user_step.jax", [state, *event], [state, ("float32", (dim,))])
        start, step = incremental(user_step, state_size=int(manifest["state_size"]))
    else:
        start, step = windowed(_tower(folder, length, dim), reading)
    sizes = tuple(int(embedded["size"]) for embedded in manifest.get("item_embeddings", ()))
    rows = num_items + 1
    lineage = manifest.get("lineage") or {}
    # A verdict says something of the model and changes nothing about it.
    of_model = {name: value for name, value in manifest.items() if name != "verdict"}
    return Recommender(
        start=start,
        step=step,
        item_vectors=_finite(folder / "item_vectors.npy", (rows, dim)),
        items=_item_table(folder / "item_table.parquet", rows),
        reading=reading,
        fingerprint=hashlib.sha256(json.dumps(of_model, sort_keys=True).encode()).hexdigest(),
        vocabulary_hash=str(manifest.get("vocabulary_hash", "")),
        checkpoint=str(lineage.get("checkpoint", "")),
        learned_from=tuple((lineage.get("config") or {}).get("train_on", ())),
        counted_until=str(lineage.get("counted_until", "")),
        log=str(lineage.get("timelines", "")),
        goes_on=carries_state,
        embeddings=_finite(folder / "item_embeddings.npy", (rows, sum(sizes))) if sizes else None,
        embedding_sizes=sizes,
    )


_Signature = list[tuple[str, tuple[int, ...]]]  # dtype and shape without the batch, of each array


def _reading(folder: Path, manifest: dict[str, Any]) -> Reading:
    # Whoever writes neither field reads the last T events.
    names, remembered = manifest.get("remembered_feedback", []), manifest.get("remembered_events", 0)
    try:
        return Reading(int(manifest["length"]), int(remembered), mask_of(names))
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{folder / MANIFEST}: remembered_events {remembered!r} of remembered_feedback {names!r} ({error}); "
            "export the recommender again"
        ) from None


def _tower(folder: Path, length: int, dim: int) -> Partial:
    return _function(folder / "user_tower.jax", [("int32", (length,))] * 3, [("float32", (dim,))])


def _function(path: Path, inputs: _Signature, outputs: _Signature) -> Partial:
    exported = load_function(path, model="recommender")
    weights = load_weights(path.parent, exported, path, model="recommender")
    takes = exported.in_avals[len(weights) :]  # after the weights, as they are flattened
    for what, avals, expected in (("takes", takes, inputs), ("gives", exported.out_avals, outputs)):
        arrays = [(str(aval.dtype), tuple(aval.shape[1:])) for aval in avals]
        if arrays != expected:
            raise DataError(f"{path}: {what} {arrays} for each user, expected {expected}; export the recommender again")
    if isinstance(takes[0].shape[0], int):
        raise DataError(f"{path}: exported for a fixed batch size; export it with a symbolic batch")
    return Partial(exported.call, weights)


def _finite(path: Path, shape: tuple[int, int]) -> np.ndarray:
    vectors = load_array(path, shape, model="recommender")
    for rows in chunks(len(vectors), _ROWS):
        finite = np.isfinite(vectors[rows]).all(axis=1)
        if not finite.all():
            row = rows.start + int(finite.argmin())
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
