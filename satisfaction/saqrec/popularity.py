"""What everybody clicked lately: counts of each item before each moment, and the logit that is learned from them.

Counts that fade with the days, of all items at few moments, which a softmax over the corpus needs at once;
data/rates.py has shares of outcomes, which do not fade, of single items at any moment.
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from numpy.typing import NDArray

from data.timelines import EARLIER_MS, Timelines
from nn.constant import Constant
from nn.mlp import MLP
from satisfaction.saqrec.clicks import Clicks

PERIOD_MS = 43_200_000  # moments are told apart by half days ...
MAX_PERIODS = 64  # ... or, in a log of more than a month, by so many equal parts: memory is that many times the items
HALF_LIVES = (0.5, 2.0, 8.0)  # days after which a click counts half


def periods(times: NDArray[np.int64]) -> tuple[NDArray[np.int32], int]:
    """The period of each click, 1 the log's first, 0 for earlier history, which has no time; and a period's length, ms.

    At least PERIOD_MS, and as long as it takes for MAX_PERIODS.
    """
    dated = times > EARLIER_MS
    if not dated.any():
        return np.zeros(len(times), np.int32), PERIOD_MS
    first = times[dated].min()
    length = max(PERIOD_MS, 1 + int(times[dated].max() - first) // MAX_PERIODS)
    return np.where(dated, 1 + (times - first) // length, 0).astype(np.int32), length


def recent_counts(
    item: NDArray[np.integer], period: NDArray[np.integer], *, num_items: int, num_periods: int, period_ms: int
) -> NDArray[np.float32]:
    """How often each item was clicked before each period, [P, n + 1, 1 + HALF_LIVES].

    Of the clicks given, those of earlier history, then those of all periods before, a click of q periods ago counted
    ½^(q / half-life): no click of the period itself, so that none is counted for its own label, and none that a served
    model would not know. Zero in period 0.
    """
    columns = num_items + 1
    dated = period > 0
    clicked = np.bincount(period[dated] * columns + item[dated], minlength=num_periods * columns)
    clicked = clicked.reshape(num_periods, columns)
    kept = 0.5 ** (period_ms / 86_400_000 / np.asarray(HALF_LIVES))
    counts = np.zeros((num_periods, columns, 1 + len(HALF_LIVES)), np.float32)
    counts[1:, :, 0] = np.bincount(item[~dated], minlength=columns)
    for p in range(2, num_periods):
        counts[p, :, 1:] = kept * (counts[p - 1, :, 1:] + clicked[p - 1][:, None])
    return counts


def before_periods(
    clicks: Clicks, timelines: Timelines, known: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """`recent_counts` of the clicks that are `known` [C], those on items of the corpus; and each click's period [C]."""
    period, period_ms = periods(np.asarray(timelines.timestamp_ms)[clicks.event])
    counted, num_periods = known & (clicks.target > 0), int(period.max(initial=0)) + 1
    sizes = {"num_items": clicks.num_items, "num_periods": num_periods, "period_ms": period_ms}
    return recent_counts(clicks.item[counted], period[counted], **sizes), period


class Popularity(nnx.Module):
    """A logit of each item in each period, beyond the paper: w · x + MLP(x), x the logs of what was clicked lately.

    What is clicked at all differs between days. x are log(1 + count) of `recent_counts`, an item's less the corpus's
    mean, and these means, which say how much there is to go by. It begins at zero, and of earlier history stays there.
    """

    def __init__(self, counts: NDArray[np.float32], *, hidden: int, rngs: nnx.Rngs):
        """`counts` of `recent_counts`, [P, n + 1, F]."""
        logs = np.log1p(counts)
        mean = logs[:, 1:].mean(axis=1, keepdims=True)
        features = np.concatenate([logs - mean, np.broadcast_to(mean, logs.shape)], axis=-1)  # [P, n + 1, 2 F]
        self.features = Constant(jnp.asarray(features, jnp.float32))
        self.weights = nnx.Param(jnp.zeros(features.shape[-1]))
        self.mlp = MLP((features.shape[-1], hidden, 1), rngs=rngs)
        self.mlp.layers[-1].kernel = nnx.Param(jnp.zeros((hidden, 1)))

    def __call__(self) -> jax.Array:
        """[P, n + 1]."""
        x = self.features[...]
        return (x @ self.weights[...] + self.mlp(x)[..., 0]).at[0].set(0.0)


def click_logits(
    popularity: Popularity | None, users: jax.Array, items: jax.Array, period: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Queries [..., D + P] and vectors [n + 1, D + P] whose products are u_f · v_i + the item's logit in the period.

    Args: users u_f [..., D]; items v_i [n + 1, D]; period [...]. Without `popularity` these are the users and items.
    """
    if popularity is None:
        return users, items
    logits = popularity()  # [P, n + 1]
    moments = jax.nn.one_hot(period, logits.shape[0], dtype=users.dtype)
    return jnp.concatenate([users, moments], axis=-1), jnp.concatenate([items, logits.T], axis=-1)
