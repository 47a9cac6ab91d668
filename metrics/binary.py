"""How well scores tell yes from no, and how true probabilities are: AUC, GAUC, logloss, ECE, reliability.

Shapes: E examples; `scores` are anything that orders them, `probabilities` lie in [0, 1], `where` [E] masks examples
out. `labels` are 0 or 1. Beside `probabilities` they may lie between, as the expected value of what is not known: log
loss and calibration are means that are linear in the label. AUC is not, and refuses such a label: whoever asks for it
says which are positive. A figure that is undefined, such as the AUC of one class, is NaN and never a middle value.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import xlog1py, xlogy

from metrics.intervals import divide
from metrics.lists import ranks_within

Floats = NDArray[np.float64]

NUM_BINS = 15  # of the reliability diagram, as in Guo et al., ICML 2017
_BLOCK = 1 << 20  # weights held at a time


class Reliability(NamedTuple):
    """Per bin of predicted probability [B]: examples, mean prediction and share of positives (NaN where empty)."""

    examples: Floats
    predicted: Floats
    observed: Floats

    @property
    def gap(self) -> float:
        """Σ_b n_b/E · |mean prediction − share of positives|; NaN of none."""
        filled = self.examples > 0
        gaps = np.abs(self.predicted - self.observed)[filled]
        return float(np.average(gaps, weights=self.examples[filled])) if filled.any() else np.nan


def auc(scores: ArrayLike, labels: ArrayLike, *, where: ArrayLike | None = None) -> float:
    """P(s⁺ > s⁻) + P(s⁺ = s⁻) / 2 over all pairs of a positive and a negative; NaN where there is no pair.

    The area under the ROC curve (Hanley and McNeil, 1982). Errors: ValueError on NaN scores or other labels than 0, 1.
    """
    scores, labels = _examples(scores, labels, where)
    return float(auc_of_groups(scores, labels, np.zeros(len(scores), np.int64), num_groups=1)[0])


def auc_of_groups(
    scores: ArrayLike, labels: ArrayLike, groups: ArrayLike, *, num_groups: int, where: ArrayLike | None = None
) -> Floats:
    """The AUC within each group 0..num_groups − 1, [num_groups]; NaN where a group has one class or nothing.

    By mean ranks, from 1 at the lowest: (Σ ranks of positives − P(P + 1)/2) / (P·N), all groups in one sort.
    """
    kept = np.asarray(groups, np.int64)[... if where is None else np.asarray(where, bool)]
    scores, labels = _examples(scores, labels, where)
    if kept.shape != scores.shape:
        raise ValueError(f"groups {np.shape(groups)} are [E] like scores")
    if len(kept) and not 0 <= kept.min() <= kept.max() < num_groups:
        raise ValueError(f"groups {kept.min()}..{kept.max()} outside 0..{num_groups - 1}")
    size, positives = np.bincount(kept, minlength=num_groups), np.bincount(kept, labels, num_groups)
    ranks = size[kept] + 1 - ranks_within(scores, kept)
    wins = np.bincount(kept, labels * ranks, num_groups) - positives * (positives + 1) / 2
    pairs = positives * (size - positives)
    return divide(wins, pairs)


def log_losses(probabilities: ArrayLike, labels: ArrayLike) -> Floats:
    """−y ln p − (1 − y) ln(1 − p) of each example, [E], in nats, y from 0 to 1; 0 ln 0 is 0.

    Of a label between 0 and 1 the least is its entropy, at p = y. Infinite where certainty was wrong.
    """
    probabilities, labels = _probabilities(probabilities, labels, None)
    return -(xlogy(labels, probabilities) + xlog1py(1 - labels, -probabilities))


def logloss(probabilities: ArrayLike, labels: ArrayLike, *, where: ArrayLike | None = None) -> float:
    """Mean of `log_losses`; NaN without examples."""
    losses = log_losses(*_probabilities(probabilities, labels, where))
    return float(losses.mean()) if len(losses) else np.nan


def bin_of(probabilities: ArrayLike) -> NDArray[np.int64]:
    """The bin of each probability among NUM_BINS of equal width: [b/B, (b+1)/B), 1 in the last."""
    return np.minimum((np.asarray(probabilities, np.float64) * NUM_BINS).astype(np.int64), NUM_BINS - 1)


def reliability(probabilities: ArrayLike, labels: ArrayLike, *, where: ArrayLike | None = None) -> Reliability:
    """What was predicted beside what came true, in NUM_BINS bins of equal width (Guo et al., ICML 2017)."""
    probabilities, labels = _probabilities(probabilities, labels, where)
    bins = bin_of(probabilities)
    count = np.bincount(bins, minlength=NUM_BINS).astype(np.float64)
    predicted, observed = (divide(np.bincount(bins, column, NUM_BINS), count) for column in (probabilities, labels))
    return Reliability(count, predicted, observed)


def ece(probabilities: ArrayLike, labels: ArrayLike, *, where: ArrayLike | None = None) -> float:
    """Expected calibration error (Naeini et al., AAAI 2015): the gap of `reliability`."""
    return reliability(probabilities, labels, where=where).gap


def weighted_auc(
    scores: ArrayLike, labels: ArrayLike, groups: ArrayLike, *, num_groups: int
) -> Callable[[ArrayLike], Floats]:
    """The AUC as a function of how much each group (user) weighs: what a bootstrap over users needs a thousand times.

        Σ_{i⁺ j⁻} w_i w_j ([s_i > s_j] + [s_i = s_j] / 2) / (Σ_{i⁺} w_i · Σ_{j⁻} w_j),   w_i the weight of i's group

    Sorts once; each set of weights then costs one pass over the examples. Takes weights [R, num_groups], gives [R], NaN
    where one class has no weight. Equal to `auc` of the examples repeated as often as their group weighs.
    """
    scores, labels = _examples(scores, labels, None)
    groups = np.asarray(groups, np.int64)
    if groups.shape != scores.shape or (len(groups) and not 0 <= groups.min() <= groups.max() < num_groups):
        raise ValueError(f"groups {groups.shape} are [E] like scores, each within 0..{num_groups - 1}")
    positive = labels == 1
    order = np.argsort(scores[~positive], kind="stable")
    lower = scores[~positive][order]
    of_negative, of_positive = groups[~positive][order], groups[positive]
    below = np.searchsorted(lower, scores[positive], side="left")
    up_to = np.searchsorted(lower, scores[positive], side="right")

    def area(weights: ArrayLike) -> Floats:
        weights = np.asarray(weights, np.float64)
        if weights.ndim != 2 or weights.shape[1] != num_groups:
            raise ValueError(f"weights {weights.shape} are [R, {num_groups}]")
        areas = np.full(len(weights), np.nan)
        rows = max(1, _BLOCK // max(1, len(scores)))
        for start in range(0, len(weights), rows):
            block = weights[start : start + rows].T.copy()  # [groups, r]: an example is a row, copied whole
            before = np.zeros((len(lower) + 1, block.shape[1]))
            np.cumsum(block[of_negative], axis=0, out=before[1:])
            own = block[of_positive]  # [P, r]
            wins = np.einsum("pr,pr->r", own, before[below] + before[up_to]) / 2
            pairs = own.sum(axis=0) * before[-1]
            np.divide(wins, pairs, out=areas[start : start + rows], where=pairs > 0)
        return areas

    return area


def weighted_gauc(
    scores: ArrayLike, labels: ArrayLike, groups: ArrayLike, *, num_groups: int
) -> Callable[[ArrayLike], Floats]:
    """GAUC as a function of how much each group (user) weighs, as `weighted_auc` has it:

        Σ_g w_g n_g AUC_g / Σ_g w_g n_g   over the groups that hold both classes, n_g their examples

    Zhu et al., KDD 2017 (Optimized Cost per Click in Taobao). NaN where no such group has weight.
    """
    areas = auc_of_groups(scores, labels, groups, num_groups=num_groups)
    size = np.bincount(np.asarray(groups, np.int64), minlength=num_groups)
    won, counted = np.nan_to_num(areas) * size, size * ~np.isnan(areas)

    def area(weights: ArrayLike) -> Floats:
        weights = np.asarray(weights, np.float64)
        return divide(weights @ won, weights @ counted)

    return area


def _examples(
    scores: ArrayLike, labels: ArrayLike, where: ArrayLike | None, *, soft: bool = False
) -> tuple[Floats, Floats]:
    values, truth = np.asarray(scores, np.float64), np.asarray(labels, np.float64)
    mask = np.ones(values.shape, bool) if where is None else np.asarray(where, bool)
    if values.ndim != 1 or truth.shape != values.shape or mask.shape != values.shape:
        raise ValueError(f"scores {values.shape}, labels {truth.shape} and where {mask.shape} are all [E]")
    values, truth = values[mask], truth[mask]
    if np.isnan(values).any():
        raise ValueError("scores hold NaN: mask such examples out with `where`")
    if not (((truth >= 0) & (truth <= 1)).all() if soft else np.isin(truth, (0.0, 1.0)).all()):
        between = "from 0 to 1" if soft else "0 or 1"
        raise ValueError(f"labels are {between}: mask unknown ones out with `where`")
    return values, truth


def _probabilities(probabilities: ArrayLike, labels: ArrayLike, where: ArrayLike | None) -> tuple[Floats, Floats]:
    values, truth = _examples(probabilities, labels, where, soft=True)
    if len(values) and not 0 <= values.min() <= values.max() <= 1:
        raise ValueError(f"probabilities {values.min()}..{values.max()} outside 0..1")
    return values, truth
