"""Step "propensity": how likely an impression is to be answered (Zhang et al., CIKM '24, equation 5), calibrated."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict
from numpy.typing import ArrayLike, NDArray

from data.timelines import Timelines
from metrics import binary
from runtime.artifact import read_json, write_json
from runtime.errors import DataError
from satisfaction.features import PairFeatures
from satisfaction.fitting import Examples, Fitted, fit, load, split
from satisfaction.splits import is_earlier

CALIBRATION = "calibration.json"
RELIABILITY = "reliability.json"
NUM_BINS = 10


@dataclasses.dataclass(frozen=True)
class Calibrated:
    """ô = σ(slope · z + intercept) of the fitted model's logits z (Platt, 1999)."""

    fitted: Fitted
    slope: float
    intercept: float

    def events(self, features: PairFeatures, positions: NDArray[np.int64]) -> NDArray[np.float64]:
        """ô of the impressions at `positions`."""
        return _sigmoid(self.slope * self.fitted.events(features, positions) + self.intercept)


def train(
    config: ConfigDict,
    timelines: Timelines,
    features: PairFeatures,
    *,
    answers: NDArray[np.int8],
    trained: NDArray[np.bool_],
    folder: Path,
    fingerprint: Mapping[str, Any],
) -> tuple[Calibrated, dict[str, float]]:
    """Fits on all training impressions (earlier history is none: nobody could answer), 1 where answered.

    Slope and intercept of the calibration are fitted on all of them, so that Σ ô = Σ o; the reliability, written
    beside, is that of impressions that the model was not fitted on. Errors: DataError where all or none are answered.
    """
    positions = np.flatnonzero(trained & ~is_earlier(timelines))
    labels = (answers[positions] >= 0).astype(np.float32)
    share = float(labels.mean()) if len(labels) else 0.0
    if share in (0.0, 1.0):
        raise DataError(
            f"{timelines.path}: {'every' if share else 'no'} training impression is answered: propensities are all "
            f"{share:g}; " + ("set --config.satisfaction.estimator=naive" if share else "learn from more days")
        )
    examples = Examples(positions, labels, np.ones(len(labels), np.float32))
    fitting, valid = split(examples, share=config.propensity.valid_share, seed=config.seed)
    prior = float(np.log(share / (1 - share)))
    fitted, metrics = fit(
        config.propensity,
        features,
        fitting,
        valid,
        self_normalised=True,
        prior_logit=prior,
        seed=config.seed,
        folder=folder,
        fingerprint=fingerprint,
    )
    slope, intercept = platt(fitted.events(features, positions), labels)
    model = Calibrated(fitted, slope, intercept)
    write_json(folder / CALIBRATION, {"slope": slope, "intercept": intercept, "prior_logit": prior})
    predicted = model.events(features, valid.position)
    diagram = reliability(predicted, valid.label)
    write_json(folder / RELIABILITY, {name: column.tolist() for name, column in diagram._asdict().items()})
    filled = diagram.examples > 0
    gaps = np.abs(diagram.predicted - diagram.observed)[filled]
    return model, {
        **metrics,
        "answered": share,
        "auc": binary.auc(predicted, valid.label),
        "logloss": binary.logloss(predicted, valid.label),
        "ece": float(np.average(gaps, weights=diagram.examples[filled])),
        "slope": slope,
        "lowest": float(predicted.min()),
        "highest": float(predicted.max()),
    }


def reopen(config: ConfigDict, features: PairFeatures, folder: Path) -> Calibrated:
    """What `train` left in `folder`."""
    saved = read_json(folder / CALIBRATION)
    fitted = load(config.propensity, features, prior_logit=saved["prior_logit"], folder=folder)
    return Calibrated(fitted, saved["slope"], saved["intercept"])


def platt(logits: ArrayLike, labels: ArrayLike, *, iterations: int = 50) -> tuple[float, float]:
    """Slope and intercept that maximise the likelihood of σ(slope · z + intercept), by Newton's method.

    At the maximum Σ p = Σ y and Σ p z = Σ y z. Logits that are all the same keep slope 1.
    """
    logits, labels = np.asarray(logits, np.float64), np.asarray(labels, np.float64)
    shift, scale = logits.mean(), logits.std()
    constant = scale < 1e-9
    z = np.zeros_like(logits) if constant else (logits - shift) / scale
    design = np.stack([z, np.ones_like(z)], axis=1)  # [E, 2]
    rate = np.clip(labels.mean(), 1e-9, 1 - 1e-9)
    theta = np.array([0.0, np.log(rate / (1 - rate))])
    for _ in range(iterations):
        p = _sigmoid(design @ theta)
        hessian = (design * (p * (1 - p))[:, None]).T @ design + 1e-9 * np.eye(2)
        step = np.linalg.solve(hessian, design.T @ (labels - p))
        theta += step
        if np.abs(step).max() < 1e-10:
            break
    if constant:
        return 1.0, float(theta[1] - shift)
    return float(theta[0] / scale), float(theta[1] - theta[0] * shift / scale)


def reliability(probabilities: ArrayLike, labels: ArrayLike) -> binary.Reliability:
    """`metrics.binary.reliability` in bins of equal counts: propensities of a percent would all share its first bin."""
    probabilities, labels = np.asarray(probabilities, np.float64), np.asarray(labels, np.float64)
    order = np.argsort(probabilities, kind="stable")
    parts = np.array_split(order, min(NUM_BINS, max(len(order), 1)))
    return binary.Reliability(
        np.array([len(part) for part in parts], np.float64),
        np.array([probabilities[part].mean() for part in parts]),
        np.array([labels[part].mean() for part in parts]),
    )


def _sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.exp(-np.logaddexp(0.0, -x))
