"""From timelines and config to a model, and from a training run's folder back to a trained one."""

import dataclasses
import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from ml_collections import ConfigDict
from numpy.typing import NDArray

from data import feedback
from data.events_read import Reading, events_of
from data.items.content import ItemContent
from data.timelines import Timelines
from encoders.hashed_ids import hashed_rows
from encoders.item_content import tower_features
from encoders.labels import last_places
from encoders.new_items import NewItems
from encoders.registry import ENCODERS
from nn.exported import apart
from retrieval.counted import Part, files, stepped
from retrieval.counted.parts import KINDS, made
from retrieval.counted.reactions import Reactions
from retrieval.large_corpus.item_rows import ItemRows
from retrieval.model import TwoTower
from retrieval.trends import Trends, served
from runtime.artifact import read_json
from runtime.errors import UsageError
from runtime.workdir import CONFIG, is_complete
from training.architecture import Architecture, architecture
from training.names import named_leaves
from training.saving.checkpoints import CHECKPOINTS, restore_params
from training.settings import of_model

TOWERS = "towers"  # among the weights of what is counted, retrieval/counted/
ITEM_VECTORS = "item_vectors"  # of a retriever's weights, and of the files of its export


def identity(config: ConfigDict, timelines: Timelines, *, model_shards: int = 1) -> dict[str, Any]:
    """What a training run is of: its config, its data, and what shapes the tables, the mesh's `model` axis."""
    return {
        "config": of_model(config),
        "timelines": timelines.manifest["vocabulary_hash"],
        "log": timelines.fingerprint,
        "model_shards": model_shards,
    }


def check_feedback(config: ConfigDict, *settings: str) -> None:
    """Errors: UsageError for what is no feedback in one of these settings, or is named twice."""
    for setting in settings:
        names = config.get(setting, ())
        for name in names:
            if name not in feedback.BITS:
                raise UsageError(f"--config.{setting}: no feedback '{name}'; one of {', '.join(feedback.BITS)}")
        if len(set(names)) < len(names):
            raise UsageError(f"--config.{setting}={tuple(names)}: name each once")


def check(config: ConfigDict) -> None:
    """Errors: UsageError names unknown feedback, or what the model's parts do not agree about."""
    check_feedback(config, *(f"{kind}_feedback" for kind in ("input", "memory", "forgiving", "excluded", "opposing")))
    if config.encoder not in ENCODERS:
        raise UsageError(f"--config.encoder={config.encoder}: one of {', '.join(ENCODERS)}")
    remembering = ("memory_feedback", "forgiving_feedback") if config.memory_feedback else ()
    for flag in remembering:
        if not set(config[flag]) <= set(config.input_feedback):
            raise UsageError(f"--config.{flag}={config[flag]}: has to be part of input_feedback")
    if config.get("counted", ()) and set(config.counted) - KINDS.keys():
        raise UsageError(f"--config.counted={tuple(config.counted)}: only {', '.join(KINDS)}")
    if config.get("counted_weights", ()) and len(config.counted_weights) != 1 + len(config.counted):
        raise UsageError(
            f"--config.counted_weights={tuple(config.counted_weights)}: one for the towers, and one for each of "
            f"--config.counted={tuple(config.counted)}"
        )
    if config.get("counted_weights", ()) and not any(config.counted_weights):
        raise UsageError(f"--config.counted_weights={tuple(config.counted_weights)}: nothing would rank items; above 0")
    if config.memory_feedback and not 1 <= config.memory_size <= config.length:
        raise UsageError(f"--config.memory_size={config.memory_size}: from 1 to --config.length={config.length}")


def towers_reading(config: ConfigDict) -> Reading:
    """Which events of a longer history the towers of `config` read."""
    remembered = config.memory_size if config.memory_feedback else 0
    return Reading(config.length, remembered, feedback.mask_of(config.memory_feedback))


def reading(config: ConfigDict) -> Reading:
    """Which events a model of `config` reads: what is counted beside the towers reads more than they do."""
    of_towers = towers_reading(config)
    longest = max(config.length, config.counted_length) if config.get("counted", ()) else config.length
    return dataclasses.replace(of_towers, length=longest)


def build(
    config: ConfigDict, timelines: Timelines, *, trends: Trends | None = None, model_shards: int = 1
) -> Architecture[TwoTower]:
    """The model of `config` on the items of `timelines`; table rows are rounded up to a multiple of `model_shards`.

    Args: trends, of the days that it learns from or of the moment at which it is asked, by default when the test days
    begin.
    Errors: those of `check`.
    """
    check(config)
    items = _items(config, timelines, model_shards, _trends(config, timelines, "test") if trends is None else trends)
    return architecture_of(
        config, items.content, items.seen, hashed=items.hashed, table_rows=items.table_rows, trends=items.trends
    )


def build_by_rows(
    config: ConfigDict, timelines: Timelines, *, trends: Trends | None = None, model_shards: int = 1
) -> tuple[Architecture[TwoTower], ItemRows]:
    """The same model for a corpus too large for a step to touch all of it: its parameters, and the items apart.

    `merge` alone has no items; `merge_with` has those that `ItemRows` gives it.
    Errors: those of `check`.
    """
    check(config)
    items = _items(config, timelines, model_shards, _trends(config, timelines, "test") if trends is None else trends)
    none = items.content._replace(codes=items.content.codes[:1], embeddings=items.content.embeddings[:1])
    features = tower_features(items.content, items.seen)
    unhashed, of_none = None, None
    if items.hashed is not None:
        features["hashed"], unhashed = items.hashed, items.hashed[:1]
    if items.trends is not None:
        features["columns"], of_none = items.trends.reshape(len(items.trends), -1), items.trends[:1]
    model = architecture_of(
        config, none, np.zeros(1, bool), hashed=unhashed, table_rows=items.table_rows, trends=of_none
    )
    return model, ItemRows(features, items.content.owner, items.content.cardinalities, items.table_rows)


def architecture_of(
    config: ConfigDict,
    content: ItemContent,
    seen: NDArray[np.bool_],
    *,
    table_rows: int | None = None,
    hashed: NDArray[np.int32] | None = None,
    trends: Trends | None = None,
) -> Architecture[TwoTower]:
    """The model of `config`; arguments as TwoTower."""
    excluded = tuple(config.get("excluded_feedback", ()))

    def make(rngs: nnx.Rngs) -> TwoTower:
        return TwoTower(
            content,
            seen,
            dim=config.dim,
            hidden=config.hidden,
            input_bits=[feedback.BITS[name] for name in config.input_feedback],
            memory_bits=[feedback.BITS[name] for name in config.memory_feedback],
            forgiving_bits=[feedback.BITS[name] for name in config.forgiving_feedback],
            memory_size=config.memory_size,
            excluded_bits=[feedback.BITS[name] for name in excluded],
            opposing_bits=[feedback.BITS[name] for name in config.get("opposing_feedback", ())],
            dropout=config.dropout,
            encoder=ENCODERS[config.encoder],
            table_rows=table_rows,
            hashed=hashed,
            trends=trends,
            rngs=rngs,
        )

    return architecture(make)


class _Items(NamedTuple):
    content: ItemContent
    seen: NDArray[np.bool_]
    hashed: NDArray[np.int32] | None  # [rows, K]: the rows of each item's id, where several share them
    table_rows: int
    trends: Trends | None


def _items(config: ConfigDict, timelines: Timelines, model_shards: int, trends: Trends | None) -> _Items:
    # The items, with rows of padding up to what `model_shards` divides, as is the size of the table of ids.
    added = -(timelines.num_items + 1) % model_shards
    content, seen = _known(config, timelines, added=added)
    trends = None if trends is None else np.pad(trends, ((0, added), (0, 0), (0, 0)))
    rows = config.get("id_rows", 0)
    if not rows:
        return _Items(content, seen, None, len(seen), trends)
    hashed = hashed_rows(timelines.items["item_id"].fill_null("").to_numpy(), rows=rows, hashes=config.id_hashes)
    hashed = np.pad(hashed, ((0, added), (0, 0)))
    return _Items(content, seen, hashed, rows + -rows % model_shards, trends)


def _known(config: ConfigDict, timelines: Timelines, *, added: int = 0) -> tuple[ItemContent, NDArray[np.bool_]]:
    # The content of the items and which of them were met, each with `added` rows of padding.
    seen = timelines.item_counts(config.train_on) > 0  # a refit learns ids of the later days too
    return timelines.item_content().padded(added), np.pad(seen, (0, added))


class Retriever:
    """A trained model on the items of its timelines: what evaluation and export need.

    Queries and item vectors are those of the towers, and go on with those of each part that is counted beside them
    (retrieval/counted/); so does a user's state. D counts the numbers of all.

    `weights` has every array by its name, ITEM_VECTORS [N + 1, D] among them. What is asked often is asked of them, as
    an argument: tables of millions of items are too large to be constants of a compiled program.
    """

    def __init__(
        self,
        merge: Callable[[Any], TwoTower],
        params: Any,
        config: ConfigDict,
        num_items: int,
        new_items: NewItems | None = None,
        parts: Sequence[Part] = (),
        towers_weight: float = 1.0,
    ):
        self.config = config
        self._towers_weight = towers_weight
        self.reading = reading(config) if parts else towers_reading(config)
        self.train_on = tuple(config.train_on)
        self.input_feedback = tuple(dict.fromkeys((*config.input_feedback, *config.get("excluded_feedback", ()))))
        self._merge, self._parts, self._new_items = merge, tuple(parts), new_items
        self._reactions = Reactions(config)
        self._state_sizes = [merge(params).state_size, *(part.state_size for part in self._parts)]

        self._structure = jax.tree.structure(params)
        named = {f"weights/{name.replace('/', '.')}": leaf for name, leaf in named_leaves(params).items()}
        self._names = tuple(named)
        towers = apart(lambda weights: self._model(weights).items(), named, name="weights/items")
        self._sizes = [jax.eval_shape(towers.call, towers.weights).shape[1]]
        self._sizes += [part.vectors.shape[1] for part in self._parts]

        @jax.jit
        def table(weights, *counted):
            vectors = towers.call(weights)[: num_items + 1]  # without what fills up its shards
            return jnp.concatenate([vectors, *counted], axis=1).at[0].set(0.0)

        vectors = table(towers.weights, *(part.vectors for part in self._parts))
        self.weights: dict[str, jax.Array] = {**named, ITEM_VECTORS: vectors}
        self._encode = jax.jit(self.encode_with)

    def encode_with(self, weights: Mapping[str, jax.Array], inputs: Mapping[str, Any]) -> jax.Array:
        """`encode` with other `weights` of the same names; can be traced."""
        model, (vectors, *counted) = self._model(weights), self._tables(weights)
        columns = tuple(inputs[name] for name in ("item", "dwell", "feedback"))
        queries = [self._of_towers(model, vectors, columns)]
        events = self._reactions.read(*columns)
        queries += [part.queries(part.after(table, events)) for part, table in zip(self._parts, counted, strict=True)]
        return jnp.concatenate(queries, axis=-1)

    def step_with(self, weights: Mapping[str, jax.Array], state, item, dwell, feedback) -> tuple[jax.Array, jax.Array]:
        """State [B, state], zeros of an empty history, and one event each [B] -> the next state, queries [B, D]."""
        model, (vectors, *counted) = self._model(weights), self._tables(weights)
        towers, *states = jnp.split(state, np.cumsum(self._state_sizes)[:-1], axis=-1)
        towers = model.step(towers, vectors, item, dwell, feedback)
        event = self._reactions.read(item, dwell, feedback)
        after = [
            stepped(part, before, table, event)
            for part, before, table in zip(self._parts, states, counted, strict=True)
        ]
        queries = [
            self._towers_weight * model.queries(towers),
            *(part.queries(of) for part, of in zip(self._parts, after, strict=True)),
        ]
        return jnp.concatenate([towers, *after], axis=-1), jnp.concatenate(queries, axis=-1)

    def of_content_with(self, weights: Mapping[str, jax.Array], codes, embeddings) -> jax.Array:
        """Codes [b, C] and embeddings [b, E] of items of no catalogue -> their vectors [b, D]."""
        assert self._new_items is not None
        vectors = self._new_items(self._model(weights).items, codes, embeddings)
        vectors = jnp.pad(vectors, ((0, 0), (0, self._sizes[0] - vectors.shape[1])))  # no trend: nobody has met them
        return jnp.concatenate([vectors, *(part.of_content(codes) for part in self._parts)], axis=1)

    def encode(self, inputs: Mapping[str, Any]) -> jax.Array:
        """Item, dwell, feedback [B, T] int32, in order, zeros anywhere -> queries [B, D]."""
        return self._encode(self.weights, dict(inputs))

    @property
    def state_size(self) -> int:
        """How many numbers a user's state has."""
        return sum(self._state_sizes)

    def item_vectors(self) -> NDArray[np.float32]:
        """[N + 1, D], the towers' and those of each part; row 0, the padding, is zero. Not to be written to."""
        return np.asarray(self.weights[ITEM_VECTORS])

    def _model(self, weights: Mapping[str, jax.Array]) -> TwoTower:
        return self._merge(jax.tree.unflatten(self._structure, [weights[name] for name in self._names]))

    def _of_towers(self, model: TwoTower, vectors: Any, columns: tuple[Any, ...]) -> jax.Array:
        # Of a history longer than the towers read, what they read of it.
        if columns[0].shape[1] > self.config.length:
            columns = events_of(columns, towers_reading(self.config))
        inputs = dict(zip(("item", "dwell", "feedback"), columns, strict=True))
        # Padding leaves the state of the last event as it is.
        queries = model.queries(model.states(inputs, vectors, at=last_places(inputs["item"])))
        return self._towers_weight * queries

    def _tables(self, weights: Mapping[str, jax.Array]) -> list[Any]:
        # What the towers read of item vectors, and what each part does.
        ends = np.cumsum([0, *self._sizes]).tolist()
        return [_Columns(weights[ITEM_VECTORS], slice(*pair)) for pair in itertools.pairwise(ends)]


@dataclasses.dataclass(frozen=True)
class _Columns:
    """Some columns of a table, whose rows are taken first: nothing of the size of the table is ever made."""

    table: jax.Array
    columns: slice

    def __getitem__(self, rows: Any) -> jax.Array:
        return self.table[rows][..., self.columns]


def load(
    path: str | os.PathLike[str],
    timelines: Timelines,
    *,
    until: str = "test",
    settings: Mapping[str, Any] | None = None,
    weights: Mapping[str, float] | None = None,
) -> Retriever:
    """The best checkpoint of the training run in `path`.

    Args:
      until: the moment, as `Timelines.until` has it, up to which is counted what is popular and what stands beside the
        towers: when it is asked.
      settings: of those parts, in place of the run's config: they are no matter of training.
      weights: of TOWERS and of each part, in place of those that were fitted.
    Errors: UsageError where the run is not complete, was trained on other timelines or on another split of these, or
    has learned from later days.
    """
    folder = Path(path)
    if not is_complete(folder):
        raise UsageError(f"--checkpoint={path}: no complete training run here; run retrieval.train on it first")
    saved = read_json(folder / CONFIG)
    config = ConfigDict({**saved["config"], **(settings or {})})
    if saved["timelines"] != timelines.manifest["vocabulary_hash"]:
        raise UsageError(f"--checkpoint={path}: trained on other items than --data={timelines.path} has; give its own")
    if saved["log"] != timelines.fingerprint:  # whose test days may be among those that it has learned from
        raise UsageError(
            f"--checkpoint={path}: trained on another log than --data={timelines.path}, or another split of it; give "
            "its own"
        )
    if until in config.train_on:
        raise UsageError(
            f"--checkpoint={path}: has learned from the {until} days, which say nothing of it; use --split=test"
        )
    model, params = _restored(folder, config, timelines, until, saved.get("model_shards", 1))
    parts: list[Part] = []
    towers_weight = 1.0
    if config.get("counted", ()):
        counted, fitted = files.read(folder, until)
        weights = fitted if weights is None else weights
        towers_weight = weights.get(TOWERS, 0.0)
        parts = made(counted, weights, timelines.item_content(), config)
    new_items = NewItems(*_known(config, timelines))
    return Retriever(model.merge, params, config, timelines.num_items, new_items, parts, towers_weight)


def towers_of(
    folder: Path, config: ConfigDict, timelines: Timelines, *, until: str, model_shards: int = 1
) -> Retriever:
    """The best checkpoint's towers, with nothing beside them, in the folder of a run that need not be complete."""
    model, params = _restored(folder, config, timelines, until, model_shards)
    return Retriever(model.merge, params, config, timelines.num_items)


def _restored(
    folder: Path, config: ConfigDict, timelines: Timelines, until: str, model_shards: int
) -> tuple[Architecture[TwoTower], Any]:
    model = build(config, timelines, trends=_trends(config, timelines, until), model_shards=model_shards)
    params, _ = restore_params(folder / CHECKPOINTS, model.shapes)
    return model, params


def _trends(config: ConfigDict, timelines: Timelines, until: str) -> Trends | None:
    return served(timelines, config, until) if config.get("trend_days", ()) else None
