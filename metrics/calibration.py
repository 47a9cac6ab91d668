"""Calibration: probabilities that come true as often as they say, by Platt's scaling.

Platt, "Probabilistic Outputs for Support Vector Machines" (1999), with the targets that he gives against overfitting.
Two numbers, so that a day of validation suffices for rare feedback too; strictly increasing, so that no order, AUC or
list changes.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
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


def fit(probabilities: ArrayLike, labels: ArrayLike) -> Calibrator:
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
    logits, mean = _logit(values), target.mean()

    def loss(at: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        z = at[0] * logits + at[1]
        excess = expit(z) - target
        return (np.logaddexp(0, z) - target * z).mean(), np.array([(excess * logits).mean(), excess.mean()])

    # Convex. From a slope of 1, scores that tell nothing would keep it: their gradient is 0 nearly everywhere.
    best = minimize(
        loss,
        (_LEAST_SLOPE, logit(mean)),
        jac=True,
        method="L-BFGS-B",
        bounds=((_LEAST_SLOPE, None), (None, None)),
        options={"ftol": 0, "gtol": 1e-12},
    )
    return Calibrator(float(best.x[0]), float(best.x[1]))


def _logit(probabilities: ArrayLike) -> NDArray[np.float64]:
    return logit(np.clip(np.asarray(probabilities, np.float64), _EDGE, 1 - _EDGE))
