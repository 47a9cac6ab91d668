"""MRR and HR@10 of validation clicks, quick enough for every epoch: a model's own among some items, or among all."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from metrics import ranking
from runtime.errors import DataError
from satisfaction.protocol import draw_negatives
from satisfaction.saqrec.model import asked
from satisfaction.saqrec.sequences import Histories
from training.chunks import in_chunks
from training.mesh import local_copy

_CHUNK = 256  # users scored at a time

Validate = Callable[[Any], dict[str, float]]
"""params -> {"mrr", "hr@10"}"""


def among_sampled(histories: Histories, merge: Callable[[Any], Any], *, num_users: int, seed: int) -> Validate:
    """MRR and HR@10 of the validation clicks of at most `num_users` users, each among 99 items never clicked.

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

    def scores(model: Any, items: jax.Array, batch: Mapping[str, jax.Array]) -> tuple[jax.Array, jax.Array]:
        answer = asked(model, batch, items)
        of_candidates = jnp.einsum("bd,bkd->bk", answer.scored, answer.vectors[batch["candidates"]])
        return of_candidates[:, 0], of_candidates

    return ranks_of(merge, scores, {**histories.before(target), "candidates": candidates})


def ranks_of(
    merge: Callable[[Any], Any],
    scores: Callable[[Any, jax.Array, Mapping[str, jax.Array]], tuple[jax.Array, jax.Array]],
    inputs: Mapping[str, NDArray[Any]],
) -> Validate:
    """MRR and HR@10 of one click for each row of `inputs` [Q, ...]; every host measures all of them, by itself.

    Args: scores, (model, its item vectors, rows [b] of the inputs) -> the score of the click [b], and of all items that
      it is ranked among, itself included [b, K].
    """
    size = len(next(iter(inputs.values())))
    chunks = in_chunks(inputs, _CHUNK)

    @jax.jit
    def places(params: Any, chunks: dict[str, jax.Array]) -> jax.Array:
        model = merge(params)
        items = model.items()

        def of_chunk(batch):
            return jnp.stack(ranking.place_of(*scores(model, items, batch)), axis=-1)

        return jax.lax.map(of_chunk, chunks)

    def validate(params: Any) -> dict[str, float]:
        each = np.asarray(places(local_copy(params), chunks), np.float64).reshape(-1, 1, 2)[:size]
        return {
            "mrr": float(ranking.reciprocal_rank(each).mean()),
            "hr@10": float(ranking.hit_rate(each, 10).mean()),
        }

    return validate
