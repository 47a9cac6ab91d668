"""Loads an exported ranker: a ranking stage between the recommender's candidates and the user.

What the simulation knows of a ranker is its folder: ranker.jax, thresholds.npy, rates.npy and the manifest. Simulated
users have no id, no hour and no exact watch times: user, hour and time gap are unknown to the ranker, the platform too
unless its log had one alone, and a past play is EVV, FVV or watched by half, or known not to be, where its dwell bucket
tells.
"""

import json
from pathlib import Path
from typing import Any

import jax
import jax.export
import jax.numpy as jnp
import numpy as np

from data.feedback import BITS, DWELL_EDGES_MS, DWELL_UNKNOWN, NUM_DWELL_BUCKETS, SKIP_BELOW_MS
from data.watch_time import BOUNDED
from runtime.artifact import MANIFEST, open_manifest
from runtime.errors import DataError, UsageError
from simulation.exported.recommender import Recommender
from simulation.exported.serving import Rank

KIND, VERSION = "exported_ranker", 1
_INPUTS = ["item", "feedback", "surface", "user", "platform", "hour", "gap", "candidate", "rates"]
_FIELDS = (
    "vocabulary_hash", "num_items", "feedback_bits", "dwell_edges_ms", "inputs", "tasks", "gamma", "history_feedback",
    "length", "surfaces",
)  # fmt: skip
_KNOWN = 15  # the bit from which packed feedback says what is known
_BEHIND = -5e3  # logits below are of items that the user has met, which stay behind all that is new


def load(path: str | Path, recommender: Recommender, *, flag: str = "--ranker") -> Rank:
    """The ranker exported to `path`, for the candidates of `recommender`; can be traced.

    Its scores Σ_k γ_k y_k decide the order; the logits that it gives are those of the candidates, in that order, so
    that a policy which draws from them stays as sharp as it was.

    Errors: UsageError where the folder is no ranker, of other items, or of other feedback definitions; DataError where
    a file of it is not what the manifest says.
    """
    folder = Path(path)
    manifest = open_manifest(folder, kind=KIND, version=VERSION, flag=flag)
    missing = [name for name in _FIELDS if name not in manifest]
    missing = missing or [f"gamma/{task}" for task in manifest["tasks"] if task not in manifest["gamma"]]
    if missing:
        raise DataError(f"{folder / MANIFEST}: no field '{missing[0]}'; export the ranker again")
    if (manifest["vocabulary_hash"], manifest["num_items"]) != (recommender.vocabulary_hash, recommender.num_items):
        raise UsageError(
            f"{flag}={path}: ranks other items than the recommender has; export both of the same timelines"
        )
    for name, ours in (("feedback_bits", dict(BITS)), ("dwell_edges_ms", list(DWELL_EDGES_MS)), ("inputs", _INPUTS)):
        if manifest[name] != ours:
            raise UsageError(f"{flag}={path}: {name} is {manifest[name]}, this code's is {ours}; export it again")
    exported = _function(folder / "ranker.jax")
    rows = recommender.num_items + 1
    length, num_rates = exported.in_avals[0].shape[1], exported.in_avals[_INPUTS.index("rates")].shape[-1]
    if length != manifest["length"]:
        told = manifest["length"]
        raise DataError(f"{folder}: reads {length} events, its manifest says {told}; export the ranker again")
    rates = jnp.asarray(_array(folder / "rates.npy", (rows, num_rates)))
    gamma = jnp.asarray([manifest["gamma"][task] for task in manifest["tasks"]])
    reads = tuple(manifest["history_feedback"])
    thresholds = _array(folder / "thresholds.npy", (rows, len(BOUNDED)))
    of_dwell = jnp.asarray(watched(thresholds, reads))  # [N + 1, buckets]
    surface = int(len(manifest["surfaces"]) == 1)

    def rank(item: jax.Array, dwell: jax.Array, feedback: jax.Array, slate: jax.Array, logits: jax.Array) -> jax.Array:
        item, dwell, feedback = (newest(column, item > 0, length) for column in (item, dwell, feedback))
        packed = of_dwell[item, dwell]
        for place, name in enumerate(reads):
            if name in BITS:
                packed |= ((feedback >> BITS[name]) & 1) << place | 1 << (place + _KNOWN)
        packed = jnp.where(item > 0, packed, 0)
        unknown = jnp.zeros(len(item), jnp.int32)
        here = jnp.full(len(item), surface, jnp.int32)
        surfaces, gap = jnp.where(item > 0, surface, 0), jnp.full(len(item), -1.0, jnp.float32)
        given = (item, packed, surfaces, unknown, here, unknown, gap, slate, rates[slate])
        score = exported.call(*given) @ gamma  # [b, k]
        order = jnp.lexsort((-score, logits < _BEHIND), axis=1)  # places of the slate, best first
        return jnp.take_along_axis(-jnp.sort(-logits, axis=1), jnp.argsort(order, axis=1), axis=1)

    return Rank(rank, length)


def newest(column: jax.Array, where: jax.Array, length: int) -> jax.Array:
    """The last `length` of the events `where` [b, T], which stand from the left: [b, length], zeros after them."""
    count = where.sum(axis=1, keepdims=True)
    at = jnp.maximum(count - length, 0) + jnp.arange(length)
    return jnp.where(at < count, jnp.take_along_axis(column, jnp.minimum(at, column.shape[1] - 1), axis=1), 0)


def watched(thresholds_ms: np.ndarray, reads: tuple[str, ...]) -> np.ndarray:
    """What the dwell bucket of a play of each item tells of data.watch_time.WATCHED, packed as the ranker reads it.

    Bit w for "was so", bit 15 + w for "is known", w the place in `reads`: int32 [N + 1, NUM_DWELL_BUCKETS]. A bucket
    that holds the threshold tells nothing, nor does one of an infinite threshold.
    """
    edges = np.array([0, *DWELL_EDGES_MS, np.inf])
    least, most = edges[:-1], edges[1:] - 1  # whole milliseconds, of buckets from DWELL_UNKNOWN + 1 on
    packed = np.zeros((len(thresholds_ms), NUM_DWELL_BUCKETS), np.int32)
    for place, name in enumerate(reads):
        if name in BOUNDED:
            bound = thresholds_ms[:, BOUNDED.index(name), None]
            so, not_so = least > bound, (most <= bound) & np.isfinite(bound)
        elif name == "GVV":
            so, not_so = (np.broadcast_to(one, (len(packed), len(least))) for one in _glance(least, most))
        else:
            continue
        packed[:, DWELL_UNKNOWN + 1 :] |= (so << place | (so | not_so) << (place + _KNOWN)).astype(np.int32)
    return packed


def _glance(least: np.ndarray, most: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return most < SKIP_BELOW_MS, least >= SKIP_BELOW_MS


def _function(path: Path) -> Any:
    try:
        exported = jax.export.deserialize(bytearray(path.read_bytes()))
    except Exception as error:  # the flatbuffer reader raises whatever it trips over
        raise DataError(f"{path}: not a function saved by jax.export ({error}); export the ranker again") from None
    backend = jax.default_backend().replace("gpu", "cuda")
    if backend not in exported.platforms or len(exported.in_avals) != len(_INPUTS):
        found = json.dumps([str(aval) for aval in exported.in_avals])
        raise DataError(f"{path}: takes {found} on {', '.join(exported.platforms)}; export the ranker again")
    return exported


def _array(path: Path, shape: tuple[int, int]) -> np.ndarray:
    try:
        array = np.load(path)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path}: cannot be read ({error}); export the ranker again") from None
    if array.shape != shape or array.dtype != np.float32:
        raise DataError(f"{path}: {array.dtype} {array.shape}, not float32 {shape}; export the ranker again")
    return array
