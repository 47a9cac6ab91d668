"""Where targets stand among all items and what stands first, as one compiled program: for accelerators.

The rules are those of metrics/ranking.py, which counts the same on a CPU, several times as fast as XLA does there.
Scores of some queries at a time never leave the device: their places and their best few do.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from retrieval.queries import Moments, Queries
from runtime.errors import DataError
from runtime.progress import chunks, progress

_HELD = 1 << 26  # scores on the device at a time


@partial(jax.jit, static_argnames=("k",))
def ranked(
    queries: jax.Array,
    vectors: jax.Array,
    targets: jax.Array,
    out: tuple[jax.Array, jax.Array],
    upload_place: jax.Array,
    num_there: jax.Array,
    *,
    k: int,
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Higher and same [B, M], as `metrics.ranking.target_places` counts, the top k [B, k], and whether all is finite.

    Of queries [B, D] and vectors [N + 1, D], targets [B, M]. What may not be shown: `out`, rows and columns in any
    order, rows of B and more where they only fill the arrays; and what is not uploaded yet, whose `upload_place` [N +
    1] is not below `num_there` [B] (data/timelines.py). A target among them has −1 items above it.
    """
    scores = jnp.matmul(queries, vectors.T, precision=jax.lax.Precision.HIGHEST)  # [B, N + 1]
    shown = jnp.where(upload_place < num_there[:, None], scores, -jnp.inf).at[out].set(-jnp.inf, mode="drop")
    own = jnp.take_along_axis(shown, targets, axis=1)  # [B, M]

    def counted(value: jax.Array) -> tuple[jax.Array, jax.Array]:
        return (shown > value[:, None]).sum(axis=1), (shown == value[:, None]).sum(axis=1)

    higher, same = (count.T for count in jax.lax.map(counted, own.T))
    best, items = jax.lax.top_k(shown, k)
    there = jnp.isneginf(own)
    finite = jnp.isfinite(scores[:, 1:]).all()
    return jnp.where(there, -1, higher), same, jnp.where(jnp.isneginf(best), -1, items), finite


def rank(
    encode: Callable[[Moments], Any], vectors: Any, of: Queries, *, label: str, slate: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Places of the targets [Q, M, 2] and the top `slate` [Q, slate] of what may be shown.

    Args: encode, moments [B] -> queries [B, D]; vectors [N + 1, D], on the device.
    Errors: DataError where a score is not finite.
    """
    log, (total, most) = of.timelines, of.items.shape
    upload_place = jax.device_put(log.upload_place)
    size = min(max(1, min(512, _HELD // len(vectors))), total)
    k = max(1, min(slate, len(vectors)))
    places, slates = np.empty((total, most, 2)), np.full((total, slate), -1, np.int64)
    places[:] = np.inf, 1
    with progress(label=label, total=total, unit="query") as bar:
        for rows in chunks(total, size):
            batch = of.rows(np.minimum(np.arange(rows.start, rows.start + size), total - 1))  # one shape
            here = rows.stop - rows.start
            width = _power(int((batch.kind >= 0).sum(axis=1).max(initial=1)))  # targets come first, then padding
            targets = np.zeros((size, width), np.int32)
            targets[:, :most] = np.maximum(batch.items, 0)[:, :width]
            out = batch.met()
            filled = np.full((2, _power(len(out[0]))), size, np.int32)
            filled[:, : len(out[0])] = out
            there = log.num_there(batch.moments.time_ms).astype(np.int32)
            found = ranked(encode(batch.moments), vectors, targets, (filled[0], filled[1]), upload_place, there, k=k)
            higher, same, best, finite = (np.asarray(part) for part in found)
            if not finite:
                raise DataError(f"{label}: a score is not finite; the model has diverged, train it again")
            real = (batch.kind[:here, :width] >= 0) & (higher[:here, :most] >= 0)
            counted = np.stack([1 + higher, same], axis=-1)[:here, :most]
            places[rows, : real.shape[1]][real] = counted[real]
            slates[rows, :k] = best[:here, :slate]
            bar.update(here)
    return places, slates


def _power(size: int) -> int:
    # Few shapes, so few compilations.
    return 1 << (max(size, 1) - 1).bit_length()
