"""Takes what a user has met out of what its labels are held up against, as a recommender takes it out of its answers.

A feed shows few items twice. In the softmax over all of them, what was just read is therefore the one sort of item that
is never liked next: a model learns to score it low, and what is like it with it. With Z the sum over what a label y is
compared with and M the part of it that its user had met before,

    m' = l_y − log(Z − M) = m − log(1 − M / Z),  M = Σ_{j met, j≠y} a_j exp(l_j)

where a_j is 1, and of a sample how often item j stands in it over how often it was to be expected. What was met before
the beginning of a label's window, so of what the towers do not read, stays.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from encoders.labels import Asked, at_places, put_at_places
from retrieval.alternatives import contrast

_MOST = 0.999  # of M / Z, whose two sides are rounded apart


def among_unmet(
    margins: jax.Array,
    asked: Asked,
    batch: Mapping[str, jax.Array],
    *,
    weight: jax.Array | None = None,
    dtype: DTypeLike = jnp.float32,
) -> jax.Array:
    """m' [rows] of the margins m [rows] of labels against met and unmet items alike.

    Args:
      asked: the labels of `batch`, a packed one (data/loader.py).
      weight: a of all items, [N + 1]; 1 by default.
      dtype: of the factors of the products that the margins are of.
    """
    item, place = batch["item"], batch["label_position"]  # [B, T], [S, R]
    flat = item.size // len(place)  # places of a shard
    at_label = put_at_places(jnp.where(asked.where.reshape(place.shape), place, flat), asked.queries, flat)
    of_rows = at_label.reshape(*item.shape, -1).astype(dtype), asked.vectors[item].astype(dtype)
    logits = jnp.einsum("btd,bsd->bts", *of_rows, preferred_element_type=jnp.float32)
    if weight is not None:
        logits += jnp.log(weight[item])[:, None]
    window = batch["reset"].cumsum(axis=1)
    read = jnp.tril(window[:, :, None] == window[:, None])  # [B, T, T]: what stands at s is read by the label at t
    again = (jnp.tril(read, -1) & (item[:, :, None] == item[:, None])).any(axis=2)
    logits = jnp.where(read & ((item > 0) & ~again)[:, None], logits, -jnp.inf)
    met = at_places(place, logits)  # [S * R, T]
    own = at_places(place, jnp.broadcast_to(item[:, None], logits.shape)) == asked.item[:, None]
    where = (met > -jnp.inf) & ~own
    factors = asked.queries.astype(dtype), asked.vectors[asked.item].astype(dtype)
    label_logits = jnp.sum(factors[0] * factors[1], axis=1, dtype=jnp.float32)
    share = jnp.exp(jnp.minimum(contrast(label_logits, met, where=where) + margins, 0.0))  # M / Z
    return margins - jnp.log1p(-jnp.where(where.any(axis=1), jnp.minimum(share, _MOST), 0.0))
