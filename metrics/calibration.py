"""Calibration: probabilities that come true as often as they say, by Platt's scaling.

Platt, "Probabilistic Outputs for Support Vector Machines" (1999), with the targets that he gives against overfitting
and the Newton steps of Lin, Lin and Weng (2007). Two numbers, so that a day of validation suffices for rare feedback
too; strictly increasing, so that no order, AUC or list changes.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit

_LEAST_SLOPE = 1e-3
_EDGE = 1e-7  # float32 cannot hold a probability nearer to 1


class Calibrator(NamedTuple):
    """σ(slope · logit(p) + bias)."""

    slope: float
    bias: float

    def __call__(self, probabilities: ArrayLike) -> NDArray[np.float64]:
        """Calibrated probabilities, of the shape given."""
        return expit(self.slope * _logit(probabilities) + self.bias)


IDENTITY = Calibrator(1.0, 0.0)


def fit(probabilities: ArrayLike, labels: ArrayLike, *, max_steps: int = 100) -> Calibrator:
    """The slope and bias of the least logloss on held-out examples.

    Targets are (P + 1)/(P + 2) for the P positives and 1/(N + 2) for the N negatives instead of 1 and 0, and between
    them for a label between: finite even where scores separate the classes or there is one class only. A slope that
    would not be positive, of scores that tell nothing or the contrary, is held at 0.001: the order stays, and all are
    moved to the base rate.

    Args:
      probabilities: [E] in [0, 1], of examples that the model did not learn from. labels: [E] in [0, 1].
    Errors: ValueError without examples, or where shapes or values are not these.
    """
    values, truth = np.asarray(probabilities, np.float64), np.asarray(labels, np.float64)
    if values.ndim != 1 or values.shape != truth.shape or not len(values):
        raise ValueError(f"probabilities {values.shape} and labels {truth.shape} are [E], E at least 1")
    if not ((values >= 0) & (values <= 1)).all() or not ((truth >= 0) & (truth <= 1)).all():
        raise ValueError("probabilities and labels lie in 0..1, none of them NaN")
    positives = truth.sum()
    negatives = len(truth) - positives
    target = truth * (positives + 1) / (positives + 2) + (1 - truth) / (negatives + 2)
    logits = _logit(values)
    slope, bias = _minimise(logits, target, slope_free=True, max_steps=max_steps)
    if slope < _LEAST_SLOPE:
        slope, bias = _minimise(logits, target, slope_free=False, max_steps=max_steps)
    return Calibrator(float(slope), float(bias))


def _minimise(logits: NDArray, target: NDArray, *, slope_free: bool, max_steps: int) -> tuple[float, float]:
    # Newton's method with halved steps; Σ softplus(z) − t z is convex in (slope, bias), z = slope · logit + bias.
    mean = target.mean()
    at = np.array([0.0 if slope_free else _LEAST_SLOPE, np.log(mean / (1 - mean))])
    features = np.stack([logits, np.ones_like(logits)], axis=1)  # [E, 2]
    free = np.array([slope_free, True])

    def loss(at: NDArray) -> float:
        z = features @ at
        return float((np.logaddexp(0, z) - target * z).sum())

    current = loss(at)
    for _ in range(max_steps):
        p = expit(features @ at)
        gradient = np.where(free, features.T @ (p - target), 0.0)
        curvature = (features * (p * (1 - p))[:, None]).T @ features + 1e-12 * np.eye(2)
        curvature[~free] = np.eye(2)[~free]
        step = np.linalg.solve(curvature, gradient)
        size = 1.0
        while size > 1e-10 and (lower := loss(at - size * step)) > current:
            size /= 2
        if size <= 1e-10 or np.abs(size * step).max() < 1e-10:
            break
        at, current = at - size * step, lower
    return at[0], at[1]


def _logit(probabilities: ArrayLike) -> NDArray[np.float64]:
    return logit(np.clip(np.asarray(probabilities, np.float64), _EDGE, 1 - _EDGE))
