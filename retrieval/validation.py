"""Recall@k on the validation days, quick enough for every epoch; retrieval/full_corpus.py is the full measurement."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from ml_collections import ConfigDict

from data import ranges
from data.events_read import Reader
from data.timelines import Timelines
from encoders.labels import last_places
from metrics import ranking
from retrieval.checkpoint import towers_reading
from retrieval.model import TwoTower
from retrieval.queries import nothing_to_find
from training.chunks import in_chunks
from training.mesh import replicate

CHUNK = 256  # users scored at a time


def metric(num_items: int) -> str:
    """The name of what `make_validation` measures: recall@100, and where there are no more items, of a tenth of them.

    Among 100 items or fewer every model finds everything in the best 100.
    """
    return f"recall@{cut(num_items)}"


def cut(num_items: int) -> int:
    """The k of `metric`."""
    return 100 if num_items > 100 else max(1, num_items // 10)


class Questions(NamedTuple):
    """What users are asked when the validation days begin, [U, ...], item 0 filling up.

    inputs: their histories, as the towers read them. targets: the unmet items that they then like. met: those that they
    know. there [N + 1]: whether an item can be shown by then, which padding cannot.
    """

    inputs: dict[str, np.ndarray]
    targets: np.ndarray
    met: np.ndarray
    there: np.ndarray


def questions(config: ConfigDict, timelines: Timelines) -> Questions:
    """Those of `config.eval_users` users, drawn once. Errors: DataError where the validation days hold no positive."""
    user, item = timelines.held_out("valid", config.positive)
    if not len(user):
        raise nothing_to_find(timelines, "valid", config.positive)
    users = np.unique(user)
    users = np.sort(np.random.default_rng(config.seed).permutation(users)[: config.eval_users])
    start, begins_ms = timelines.until("valid")
    chosen = np.isin(user, users)
    before = start[users] - timelines.offsets[users]
    met_events = ranges.positions(timelines.offsets[users], before)
    place = timelines.upload_place
    return Questions(
        timelines.histories(users, start[users], Reader(timelines.feedback, towers_reading(config))),
        ranges.padded(np.searchsorted(users, user[chosen]), item[chosen], num_rows=len(users), fill=0),
        ranges.padded(ranges.owners(before), timelines.item[met_events], num_rows=len(users), fill=0),
        (place >= 0) & (place < timelines.num_there(begins_ms)),
    )


def make_validation(
    config: ConfigDict, timelines: Timelines, merge: Callable[[Any], TwoTower], mesh: Mesh
) -> Callable[[Any], dict[str, jax.Array]]:
    """`validate(params) -> {"recall@k"}` over `config.eval_users` users, drawn once, without what they have met and
    what is not there yet.

    k and the name as `metric` says. Items that tie count as metrics/ranking.py says, as in the full measurement. Every
    device scores all users, so that the figure is the same on all.
    Errors: those of `questions`.
    """
    asked = questions(config, timelines)
    users = len(asked.targets)
    inputs = {**asked.inputs, "targets": asked.targets, "met": asked.met, "where": np.ones(users, bool)}
    chunks = {name: replicate(array, mesh) for name, array in in_chunks(inputs, CHUNK).items()}
    k, there = cut(timelines.num_items), asked.there

    @jax.jit
    def validate(params: Any, chunks: dict[str, jax.Array]) -> dict[str, jax.Array]:
        model = merge(params)
        vectors = model.items()
        rows = jnp.arange(CHUNK)[:, None]

        def chunk_recall(chunk):
            states = model.states(chunk, vectors, at=last_places(chunk["item"]))
            scores = model.queries(states) @ vectors[: timelines.num_items + 1].T  # [CHUNK, N + 1]
            scores = scores.at[rows, chunk["met"]].set(-jnp.inf)
            scores = jnp.where(there, scores, -jnp.inf)
            # What scores more than the k-th best is within k places; what ties with it shares the places that are left.
            edge = jax.lax.top_k(scores, k)[0][:, -1]
            tied = ranking.share_within(*ranking.place_of(edge, scores), k)
            own = jnp.take_along_axis(scores, chunk["targets"], axis=1)
            return jnp.where(chunk["where"], recalls(own, edge, tied, where=chunk["targets"] > 0), 0.0).sum()

        return {metric(timelines.num_items): jax.lax.map(chunk_recall, chunks).sum() / users}

    return lambda params: validate(params, chunks)


def recalls(own: jax.Array, edge: jax.Array, tied: jax.Array, *, where: jax.Array) -> jax.Array:
    """Recall@k of users [U], whose targets score `own` [U, M] and whose k-th best item scores `edge` [U].

    tied [U]: how much of what scores as the k-th best does is within k places. where [U, M]: real targets.
    """
    hit = jnp.where(where & (own == edge[:, None]), tied[:, None], where & (own > edge[:, None]))
    return hit.sum(axis=1) / jnp.maximum(where.sum(axis=1), 1)
