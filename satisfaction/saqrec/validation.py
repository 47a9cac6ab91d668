"""MRR and HR@10 of the validation clicks among their 99 negatives, quick enough for every epoch."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from metrics import ranking
from runtime.errors import DataError
from satisfaction.protocol import draw_negatives
from satisfaction.saqrec.sequences import Histories

_CHUNK = 256  # users scored at a time


def make_validation(
    histories: Histories, merge: Callable[[Any], Any], *, num_users: int, seed: int
) -> Callable[[Any], dict[str, float]]:
    """`validate(params) -> {"mrr", "hr@10"}` over at most `num_users` users with a validation click.

    The negatives are not those of the test clicks. Errors: DataError where no user has a validation click.
    """
    clicks = histories.clicks
    users, target = clicks.targets("valid")
    if not len(users):
        raise DataError("no user has a click to validate on; take more days, or another --config.protocol")
    if len(users) > num_users:
        chosen = np.sort(np.random.default_rng(seed).choice(len(users), num_users, replace=False))
        users, target = users[chosen], target[chosen]
    negatives = draw_negatives(clicks, users, seed=seed + 1)
    candidates = np.concatenate([clicks.item[target][:, None], negatives], axis=1)  # [Q, 100]
    inputs = {**histories.before(target), "candidates": candidates, "real": np.ones(len(users), bool)}
    padding = -len(users) % _CHUNK
    chunks = {
        name: jnp.asarray(np.pad(a, [(0, padding)] + [(0, 0)] * (a.ndim - 1))).reshape(-1, _CHUNK, *a.shape[1:])
        for name, a in inputs.items()
    }

    @jax.jit
    def places(params: Any, chunks: dict[str, jax.Array]) -> jax.Array:
        model = merge(params)
        items = model.items()

        def of_chunk(chunk):
            queries = model.users(chunk, items).users  # [_CHUNK, T, D]
            query = jnp.take_along_axis(queries, chunk["at"][:, None, None], axis=1)[:, 0]
            period = jnp.take_along_axis(chunk["period"], chunk["at"][:, None], axis=1)[:, 0]
            query, vectors = model.scored(query, items, period)
            scores = jnp.einsum("bd,bkd->bk", query, vectors[chunk["candidates"]])
            return jnp.stack(ranking.place_of(scores[:, 0], scores), axis=-1)

        return jax.lax.map(of_chunk, chunks)

    def validate(params: Any) -> dict[str, float]:
        found = np.asarray(places(params, chunks), np.float64).reshape(-1, 1, 2)[: len(users)]
        return {
            "mrr": float(ranking.reciprocal_rank(found).mean()),
            "hr@10": float(ranking.hit_rate(found, 10).mean()),
        }

    return validate
