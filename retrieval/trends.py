"""What is popular at the moment: features of items that change with time, in both towers.

    x_jw(t) = log(1 + n_jw(t)),  n_jw(t) the positive events of item j in the w days before t, for each w of W
    the score of item j for a user with state h, asked at time t, goes on with  u · x_j(t),  u = W h + b

u is learned with the towers, so the rest of a score only has to say what popularity does not, and how much popularity
counts is the user's own. Every label is asked at the beginning of its day, so that nothing it counts lies after it, and
in a log of more than a month at the beginning of some days at once. What is served is asked at the end of its log: a
server that is to know what is popular today has to be exported today.

To stay one inner product for labels of all days, queries and item vectors go on with R numbers. With t_1 … t_M the
moments at which labels are asked, and one of [N + 1, M W] cut down to its R largest singular values,

    (x_jw(t_m))_j,mw ≈ E C,    u · x_j(t_m) ≈ (Σ_w u_w C_mw) · E_j

which is exact where M W <= R. Served at one moment it always is: E = x(t), and C is the identity.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from ml_collections import ConfigDict
from numpy.typing import NDArray

from data.feedback import has
from data.timelines import Timelines
from metrics import simple_rules
from runtime.progress import chunks

_DAY_MS = 86_400_000
_MOMENTS = 32  # at which labels are asked, at most: of a longer log, of several days each
_RANK = 16  # R, at most
_BLOCK = 1 << 16  # items whose numbers are held twice


class Trends(NamedTuple):
    """E [N + 1, R] and C [M, W, R], float32; the last of the moments is when the log ends."""

    columns: NDArray[np.float32]
    mixes: NDArray[np.float32]

    def padded(self, rows: int) -> "Trends":
        """With `rows` more items, of which nothing is known."""
        return self._replace(columns=np.pad(self.columns, ((0, rows), (0, 0))))


def served(timelines: Timelines, config: ConfigDict, split: str) -> Trends:
    """Of one moment, when `split` begins: exact, R = W."""
    counted = Positives(timelines, config.positive).before(timelines.manifest[f"{split}_start_ms"], config.trend_days)
    return Trends(np.log1p(counted), np.eye(len(config.trend_days), dtype=np.float32)[None])


def learned(timelines: Timelines, config: ConfigDict) -> tuple[Trends, NDArray[np.int32]]:
    """Of the days of `config.train_on`, and at which moment the label of each event is asked, [events]."""
    end = timelines.manifest["test_start_ms" if "valid" in config.train_on else "valid_start_ms"]
    day = np.minimum((timelines.timestamp_ms - end) // _DAY_MS, -1)
    days = np.unique(day)
    begins = np.array([group[0] for group in np.array_split(days, min(_MOMENTS - 1, len(days)))])
    positives = Positives(timelines, config.positive)
    moments = [*(end + begins * _DAY_MS), end]
    counted = np.stack([positives.before(moment, config.trend_days) for moment in moments], axis=1)  # [N + 1, M, W]
    moment = (np.searchsorted(begins, day, side="right") - 1).astype(np.int32)
    return _cut_down(np.log1p(counted), rank=_RANK), moment


class Positives:
    """The positive events of a log, of this feedback or by default the log's own, by their times, to be counted."""

    def __init__(self, timelines: Timelines, positive: Sequence[str]):
        liked = np.flatnonzero(has(timelines.feedback, *(positive or timelines.positive_feedback)))
        order = liked[np.argsort(timelines.timestamp_ms[liked], kind="stable")]
        self._time, self._item = timelines.timestamp_ms[order], timelines.item[order]
        self._num_items = timelines.num_items

    def before(self, moment: int, days: Sequence[float]) -> NDArray[np.float32]:
        """n [N + 1, W]: of each item in so many days before a moment in ms, for each of `days`, 0 for ever."""
        last = np.searchsorted(self._time, moment)
        first = [np.searchsorted(self._time, moment - round(window * _DAY_MS)) if window else 0 for window in days]
        counts = [simple_rules.counts(self._item[begin:last], num_items=self._num_items) for begin in first]
        return np.stack(counts, axis=1)


def _cut_down(counted: NDArray[np.float32], *, rank: int) -> Trends:
    items, moments, windows = counted.shape
    flat = counted.reshape(items, -1)
    rank = min(rank, flat.shape[1])
    gram = sum(flat[rows].astype(np.float64).T @ flat[rows] for rows in chunks(items, _BLOCK))
    _, directions = np.linalg.eigh(gram)  # by rising eigenvalues
    kept = directions[:, ::-1][:, :rank].astype(np.float32)
    return Trends(flat @ kept, kept.reshape(moments, windows, rank))
