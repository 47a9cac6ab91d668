"""Loads an exported ranker: the stage that puts a recommender's candidates in order before the user sees them.

What the simulation knows of a ranker is its folder: ranker.jax, thresholds.npy, rates.npy and the manifest. Simulated
users have no id, no hour and no exact watch times. So user, hour and time gap are given to the ranker as unknown, and
the platform too unless its log had one alone. Whether a past play counted as EVV, FVV or watched by half
(data/watch_time.py) is given where its dwell bucket tells, and as unknown elsewhere.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from data.events_read import Reading, events_of
from data.feedback import BITS, DWELL_EDGES_MS, DWELL_UNKNOWN, MAX_PACKED, NUM_DWELL_BUCKETS, SKIP_BELOW_MS
from data.watch_time import BOUNDED
from runtime.artifact import MANIFEST
from runtime.errors import DataError, UsageError
from runtime.formats import RANKER
from simulation.exported.files import DEFINITIONS, load_array, load_function, read_manifest
from simulation.exported.recommender import Recommender
from simulation.exported.serving import Rank

_INPUTS = ["item", "feedback", "surface", "user", "platform", "hour", "gap", "candidate", "rates"]
_FIELDS = ("vocabulary_hash", "num_items", "tasks", "gamma", "history_feedback", "length", "surfaces")
_BEHIND = -5e3  # logits below are of items that the user has met, which stay behind all that is new


def load(path: str | Path, recommender: Recommender, *, flag: str = "--ranker") -> Rank:
    """The ranker exported to `path`, for the candidates of `recommender`; can be traced.

    Its scores Σ_k γ_k y_k decide the order; the logits that it gives are those of the candidates, in that order, so
    that a policy which draws from them stays as sharp as it was.

    Errors: UsageError where the folder is no ranker, of other items, or of other feedback definitions; DataError where
    a file of it is not what the manifest says.
    """
    folder = Path(path)
    definitions = {**DEFINITIONS, "inputs": _INPUTS}
    manifest = read_manifest(
        folder, **RANKER._asdict(), model="ranker", fields=_FIELDS, definitions=definitions, flag=flag
    )
    unweighted = [task for task in manifest["tasks"] if task not in manifest["gamma"]]
    if unweighted:
        raise DataError(f"{folder / MANIFEST}: no field 'gamma/{unweighted[0]}'; export the ranker again")
    if (manifest["vocabulary_hash"], manifest["num_items"]) != (recommender.vocabulary_hash, recommender.num_items):
        raise UsageError(
            f"{flag}={path}: ranks other items than the recommender has; export both of the same timelines"
        )
    exported = load_function(folder / "ranker.jax", model="ranker")
    if len(exported.in_avals) != len(_INPUTS):
        inputs = ", ".join(str(aval) for aval in exported.in_avals)
        raise DataError(f"{folder / 'ranker.jax'}: takes {inputs}; export the ranker again")
    rows = recommender.num_items + 1
    length, num_rates = exported.in_avals[0].shape[1], exported.in_avals[_INPUTS.index("rates")].shape[-1]
    if length != manifest["length"]:
        told = manifest["length"]
        raise DataError(f"{folder}: reads {length} events, its manifest says {told}; export the ranker again")
    rates = jnp.asarray(load_array(folder / "rates.npy", (rows, num_rates), model="ranker"))
    gamma = jnp.asarray([manifest["gamma"][task] for task in manifest["tasks"]])
    reads = tuple(manifest["history_feedback"])
    thresholds = load_array(folder / "thresholds.npy", (rows, len(BOUNDED)), model="ranker")
    of_dwell = jnp.asarray(watched(thresholds, reads))  # [N + 1, buckets]
    surface = int(len(manifest["surfaces"]) == 1)

    def rank(item: jax.Array, dwell: jax.Array, feedback: jax.Array, slate: jax.Array, logits: jax.Array) -> jax.Array:
        item, dwell, feedback = events_of((item, dwell, feedback), Reading(length))
        packed = of_dwell[item, dwell]
        for place, name in enumerate(reads):
            if name in BITS:
                packed |= ((feedback >> BITS[name]) & 1) << place | 1 << (place + MAX_PACKED)
        packed = jnp.where(item > 0, packed, 0)
        unknown = jnp.zeros(len(item), jnp.int32)
        here = jnp.full(len(item), surface, jnp.int32)
        surfaces, gap = jnp.where(item > 0, surface, 0), jnp.full(len(item), -1.0, jnp.float32)
        given = (item, packed, surfaces, unknown, here, unknown, gap, slate, rates[slate])
        score = exported.call(*given) @ gamma  # [b, k]
        order = jnp.lexsort((-score, logits < _BEHIND), axis=1)  # places of the slate, best first
        return jnp.take_along_axis(-jnp.sort(-logits, axis=1), jnp.argsort(order, axis=1), axis=1)

    return Rank(rank, length)


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
            so, not_so = most < SKIP_BELOW_MS, least >= SKIP_BELOW_MS  # of any item
        else:
            continue
        packed[:, DWELL_UNKNOWN + 1 :] |= (so << place | (so | not_so) << (place + MAX_PACKED)).astype(np.int32)
    return packed
