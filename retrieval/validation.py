"""Recall@k on the validation days, quick enough for every epoch; retrieval/full_corpus.py is the full measurement."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from ml_collections import ConfigDict

from data import ranges
from data.reading import Reader
from data.timelines import Timelines
from encoders.labels import last_places
from metrics import ranking
from retrieval.checkpoint import reading
from retrieval.model import TwoTower
from runtime.errors import DataError
from training.chunks import in_chunks
from training.mesh import replicate

_CHUNK = 256  # users scored at a time


def metric(num_items: int) -> str:
    """The name of what `make_validation` measures: recall@100, and where there are no more items, of a tenth of them.

    Among 100 items or fewer every model finds everything in the best 100.
    """
    return f"recall@{_cut(num_items)}"


def _cut(num_items: int) -> int:
    return 100 if num_items > 100 else max(1, num_items // 10)


def make_validation(
    config: ConfigDict, timelines: Timelines, merge: Callable[[Any], TwoTower], mesh: Mesh
) -> Callable[[Any], dict[str, jax.Array]]:
    """`validate(params) -> {"recall@k"}` over `config.eval_users` users, drawn once; items already met are left out.

    k and the name as `metric` says. Items that tie count as metrics/ranking.py says, as in the full measurement. Every
    device scores all users, so that the figure is the same on all.
    Errors: DataError where the validation days hold no positive.
    """
    user, item = timelines.held_out("valid", config.positive)
    if not len(user):
        raise DataError(
            f"{timelines.path}: no {' or '.join(config.positive)} of an unmet item on the validation days; "
            "prepare with an earlier --config.valid_start"
        )
    users = np.unique(user)
    users = np.sort(np.random.default_rng(config.seed).permutation(users)[: config.eval_users])
    start = timelines.bounds("valid")[0]
    chosen = np.isin(user, users)
    targets = ranges.padded(np.searchsorted(users, user[chosen]), item[chosen], num_rows=len(users), fill=0)  # [U, M]
    before = start[users] - timelines.offsets[users]
    met_events = ranges.positions(timelines.offsets[users], before)
    met = ranges.padded(ranges.owners(before), timelines.item[met_events], num_rows=len(users), fill=0)
    inputs: dict[str, np.ndarray] = {
        **timelines.histories(users, start[users], Reader(timelines.feedback, reading(config))),
        "targets": targets,
        "met": met,
    }
    inputs["where"] = np.ones(len(users), bool)
    chunks = {name: replicate(array, mesh) for name, array in in_chunks(inputs, _CHUNK).items()}
    k = _cut(timelines.num_items)

    @jax.jit
    def validate(params: Any, chunks: dict[str, jax.Array]) -> dict[str, jax.Array]:
        model = merge(params)
        vectors = model.items()
        rows = jnp.arange(_CHUNK)[:, None]

        def chunk_recall(chunk):
            states = model.states(chunk, vectors, at=last_places(chunk["item"]))
            scores = model.queries(states) @ vectors[: timelines.num_items + 1].T  # [_CHUNK, N + 1]
            scores = scores.at[rows, chunk["met"]].set(-jnp.inf).at[:, 0].set(-jnp.inf)
            # What scores more than the k-th best is within k places; what ties with it shares the places that are left.
            edge = jax.lax.top_k(scores, k)[0][:, -1]
            tied = ranking.share_within(*ranking.place_of(edge, scores), k)[:, None]
            own = jnp.take_along_axis(scores, chunk["targets"], axis=1)
            real = chunk["targets"] > 0
            hit = jnp.where(real & (own == edge[:, None]), tied, real & (own > edge[:, None]))
            return jnp.where(chunk["where"], hit.sum(axis=1) / jnp.maximum(real.sum(axis=1), 1), 0.0).sum()

        return {metric(timelines.num_items): jax.lax.map(chunk_recall, chunks).sum() / len(users)}

    return lambda params: validate(params, chunks)
