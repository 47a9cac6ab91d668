"""The Recall@k of retrieval/validation.py for a corpus whose item vectors and scores do not fit: a block at a time."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from ml_collections import ConfigDict

from data.timelines import Timelines
from encoders.labels import last_places
from metrics import ranking
from retrieval.large_corpus.item_rows import ItemRows
from retrieval.model import TwoTower
from retrieval.validation import CHUNK, cut, metric, questions, recalls
from training.architecture import Architecture
from training.chunks import in_chunks
from training.mesh import replicate
from training.row_tables import RowTables

_MOST_SCORES = 1 << 26  # of a block, all users together


class _Best(NamedTuple):
    """Of the items so far: the k highest scores [U, k], how many score as the last of them [U], the targets' [U, M]."""

    scores: jax.Array
    tied: jax.Array
    own: jax.Array


def make_validation_in_blocks(
    config: ConfigDict,
    timelines: Timelines,
    model: Architecture[TwoTower],
    items: ItemRows,
    rows: RowTables,
    mesh: Mesh,
    *,
    block_size: int = 0,
) -> Callable[[Any], dict[str, jax.Array]]:
    """`validate(params) -> {"recall@k"}` as `retrieval.validation.make_validation` has it, and with its figures.

    Of items there are never more than a block: its rows of the tables, its content, its scores. That takes
    users × N × D multiplications all the same; `config.eval_users` is what they cost by.

    Args:
      model, items, rows: of retrieval/large_corpus/touched_rows.py's training.
      block_size: items a block; 0 for as many as have 2^26 scores.
    """
    asked = questions(config, timelines)
    users, k, num_items = len(asked.targets), cut(timelines.num_items), timelines.num_items
    size = min(block_size or max(1024, _MOST_SCORES // users), num_items + 1)
    chunks = in_chunks({**asked.inputs, "user": np.arange(users)}, CHUNK)
    targets, met = (replicate(array, mesh) for array in (asked.targets, asked.met))

    @jax.jit
    def encoded(params: Any, chunk: Mapping[str, jax.Array]) -> jax.Array:
        small = model.merge_with(rows.take(params, chunk), chunk)
        return small.queries(small.states(chunk, small.items(), at=last_places(chunk["item"])))

    @jax.jit
    def with_block(
        params: Any, best: _Best, queries: jax.Array, block: Mapping[str, jax.Array], there: jax.Array
    ) -> _Best:
        vectors = model.merge_with(rows.take(params, block), block).items()  # [size, D]
        item = block["item"]
        scores = jnp.where(there, queries @ vectors.T, -jnp.inf)  # [U, size]
        user = jnp.arange(users)[:, None]
        known = met - item[0]
        scores = scores.at[user, jnp.where(known >= 0, known, size)].set(-jnp.inf, mode="drop")
        place = targets - item[0]
        here = (targets > 0) & (place >= 0) & (place < size)
        own = jnp.where(here, jnp.take_along_axis(scores, jnp.clip(place, 0, size - 1), axis=1), best.own)
        # Where the edge rises, all that was at or above the new one is among the best so far.
        both = jnp.concatenate([best.scores, scores], axis=1)
        highest = jax.lax.top_k(both, k)[0]
        edge, before = highest[:, -1:], best.scores[:, -1:]
        left_out = best.tied - (best.scores == before).sum(axis=1)
        tied = (both == edge).sum(axis=1) + jnp.where((edge == before)[:, 0], left_out, 0)
        return _Best(highest, tied, own)

    @jax.jit
    def recall(best: _Best) -> jax.Array:
        edge = best.scores[:, -1]
        ahead = ~(best.scores <= edge[:, None])  # NaN among them, as in metrics.ranking.place_of
        tied = ranking.share_within(1 + ahead.sum(axis=1), jnp.maximum(best.tied, 1), k)
        return recalls(best.own, edge, tied, where=targets > 0).sum() / users

    def validate(params: Any) -> dict[str, jax.Array]:
        queries = []
        for number in range(len(chunks["item"])):
            chunk = {name: array[number] for name, array in chunks.items()}
            numbered = items.numbered(chunk["item"], min(chunk["item"].size, num_items) + 1)
            chunk |= {"item": numbered.place(chunk["item"]), **numbered.arrays}
            queries.append(encoded(params, {name: replicate(array, mesh) for name, array in chunk.items()}))
        query = jnp.concatenate(queries)[:users]
        empty = (jnp.full((users, k), -jnp.inf), jnp.zeros(users, jnp.int32), jnp.full(targets.shape, -jnp.inf))
        best = _Best(*empty)
        for start in range(0, num_items + 1, size):
            item = np.arange(start, start + size, dtype=np.int32)
            block = {"item": item, **items.arrays(item)}
            there = asked.there[np.minimum(item, num_items)] & (item <= num_items)
            arrays = {name: replicate(array, mesh) for name, array in block.items()}
            best = with_block(params, best, query, arrays, replicate(there, mesh))
        return {metric(num_items): recall(best)}

    return validate
