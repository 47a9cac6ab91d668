"""What a user's reaction to an item is called, defined once: feedback bits, label kinds and dwell buckets.

Each event carries a uint16 bitmask. `skip` is the only bit that is always derived: a play of known length under three
seconds with no positive action. A click does not cancel it: opening a video and leaving at once is a skip.

What a ranker reads of a past event is packed otherwise, by `pack`: of any W <= 15 kinds of feedback, those of
data/watch_time.py among them, bit w is for "was so" and bit 15 + w for "is known".
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

BITS: dict[str, int] = {
    "click": 0,
    "long_view": 1,
    "like": 2,
    "follow": 3,
    "comment": 4,
    "share": 5,
    "dislike": 6,
    "skip": 7,
}
POSITIVE_ACTIONS = ("long_view", "like", "share", "follow", "comment")
POSITIVE_LABELS = ("long_view", "like", "share", "follow")  # what to recommend; clicks where a log has none of these
SKIP_BELOW_MS = 3_000
LONG_VIEW_MS = 18_000

NO_LABEL, POSITIVE, NEGATIVE = 0, 1, 2
MAX_PACKED = 15  # kinds of feedback in one packed integer

DWELL_UNKNOWN = 1  # 0 is padding
DWELL_EDGES_MS = (1_000, 3_000, 6_000, 10_000, 18_000, 30_000, 60_000, 120_000)
NUM_DWELL_BUCKETS = 2 + len(DWELL_EDGES_MS) + 1


def mask_of(names: Iterable[str]) -> int:
    """The bitmask of the named feedback, sum of 2^BITS[name]; KeyError names an unknown one and those there are."""
    names = list(names)
    unknown = [name for name in names if name not in BITS]
    if unknown:
        raise KeyError(f"unknown feedback '{unknown[0]}': one of {', '.join(BITS)}")
    return sum(1 << BITS[name] for name in set(names))


def names_of(mask: int) -> list[str]:
    """The names of the feedback in a bitmask."""
    return [name for name, bit in BITS.items() if mask >> bit & 1]


def has(bits: ArrayLike, *names: str) -> NDArray[np.bool_]:
    """True where `bits` hold any of the named feedback; no name gives all False."""
    return (np.asarray(bits) & np.array(mask_of(names), np.asarray(bits).dtype)) != 0


def to_bits(columns: Mapping[str, ArrayLike], *, play_ms: ArrayLike) -> NDArray[np.uint16]:
    """Packs 0/1 columns, keyed by feedback name, into uint16 bitmasks and adds `skip` where `play_ms` tells.

    Args:
      columns: name -> [E] of 0/1 or bool; `skip` may not be among them.
      play_ms: [E] milliseconds, negative where unknown.
    """
    if "skip" in columns:
        raise ValueError("skip is derived from play_ms: it cannot be given as a column")
    bits = np.zeros(len(np.asarray(play_ms)), np.uint16)
    for name, column in columns.items():
        bits |= np.asarray(column).astype(np.uint16) << np.uint16(BITS[name])
    return bits | is_skip(bits, play_ms).astype(np.uint16) << np.uint16(BITS["skip"])


def is_skip(bits: ArrayLike, play_ms: ArrayLike) -> NDArray[np.bool_]:
    """0 <= play_ms < 3000 and no positive action (Pan et al., CIKM '23: a play of under three seconds)."""
    play_ms = np.asarray(play_ms)
    return (play_ms >= 0) & (play_ms < SKIP_BELOW_MS) & ~has(bits, *POSITIVE_ACTIONS)


def is_long_view(play_ms: ArrayLike, duration_ms: ArrayLike) -> NDArray[np.bool_]:
    """play_ms >= min(duration_ms, 18 s): KuaiRand's `long_view`, for logs that come without the column.

    An unknown (negative or zero) duration asks for the full 18 seconds; an unknown play time is no long view.
    """
    play_ms, duration_ms = np.asarray(play_ms), np.asarray(duration_ms)
    needed = np.where(duration_ms > 0, np.minimum(duration_ms, LONG_VIEW_MS), LONG_VIEW_MS)
    return play_ms >= needed


def label_kinds(bits: ArrayLike, *, positive: Iterable[str], negative: Iterable[str]) -> NDArray[np.int8]:
    """int8 [E]: 2 (negative) where any `negative` bit is set, else 1 where any `positive` bit is, else 0.

    Negative wins: who watched to the end and then said "not interested" has said no.
    """
    kinds = np.where(has(bits, *positive), POSITIVE, NO_LABEL)
    return np.where(has(bits, *negative), NEGATIVE, kinds).astype(np.int8)


def dwell_bucket(play_ms: ArrayLike) -> NDArray[np.uint8]:
    """uint8 [E]: 1 where play_ms is unknown (negative), else 2 + the number of DWELL_EDGES_MS at or below it.

    0 is left for padding.
    """
    play_ms = np.asarray(play_ms)
    bucket = DWELL_UNKNOWN + 1 + np.searchsorted(np.asarray(DWELL_EDGES_MS), play_ms, side="right")
    return np.where(play_ms < 0, DWELL_UNKNOWN, bucket).astype(np.uint8)


def pack(values: NDArray[np.bool_], known: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Feedback [..., W] and where it is known [..., W] as int32 [...]. Errors: ValueError for W above 15."""
    names = values.shape[-1]
    if names > MAX_PACKED:
        raise ValueError(f"{names} kinds of feedback; at most {MAX_PACKED} fit")
    shifts = np.arange(names, dtype=np.int32)
    return ((values & known) << shifts).sum(-1, dtype=np.int32) | (known << (shifts + MAX_PACKED)).sum(
        -1, dtype=np.int32
    )


def unpack(packed: Any, num_feedback: int) -> tuple[Any, Any]:
    """The inverse: values and known, each float32 [..., W]; arrays of NumPy or JAX, as is the result."""
    shifts = np.arange(num_feedback, dtype=np.int32)
    values, known = ((packed[..., None] >> (shifts + offset)) & 1 for offset in (0, MAX_PACKED))
    return values.astype(np.float32), known.astype(np.float32)
