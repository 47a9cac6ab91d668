"""Step "propensity": how likely an impression is to be answered (Zhang et al., CIKM '24, equation 5), calibrated."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import isotonic_regression
from scipy.special import logit

from data import ranges
from data.timelines import Timelines
from metrics import binary
from runtime.artifact import read_json, write_json
from runtime.errors import DataError
from satisfaction.splits import is_earlier
from satisfaction.unbiased.features import PairFeatures
from satisfaction.unbiased.fitting import Examples, Fitted, fit, load, split
from training.distributed.hosts import by_first

CALIBRATION = "calibration.json"
RELIABILITY = "reliability.json"
NUM_BINS = 10  # of the reliability diagram
ANSWERS_PER_BIN, MAX_BINS = 20, 200  # of the calibration


@dataclasses.dataclass(frozen=True)
class Calibrated:
    """ô of a fitted model's logits z: the share that is answered in z's bin (histogram binning, kept monotone).

    Zadrozny and Elkan, ICML 2001, with bins of equal numbers of answers. A bin of n impressions, o of them answered,
    has ô = o / n > 0, so that over the impressions it was made of Σ ô = Σ o and Σ o / ô = |D|, which equation 4 rests
    on and which no smooth calibration promises.
    """

    fitted: Fitted
    edges: NDArray[np.float64]  # [B - 1] logits at which the next bin begins
    shares: NDArray[np.float64]  # [B] ascending

    def events(self, features: PairFeatures, positions: NDArray[np.int64]) -> NDArray[np.float64]:
        """ô of the impressions at `positions`."""
        return self.of_logits(self.fitted.events(features, positions))

    def of_logits(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        """ô of logits [n]."""
        return self.shares[np.searchsorted(self.edges, logits, side="right")]


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

    The calibration is made on all of them; the reliability, written beside, is that of impressions that the model was
    not fitted on, calibrated without them. Errors: DataError where all or none are answered.
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
    prior = float(logit(share))
    fitted, metrics = fit(
        config.propensity,
        features,
        fitting,
        valid,
        prior_logit=prior,
        seed=config.seed,
        folder=folder,
        fingerprint=fingerprint,
    )
    edges, shares = binned_shares(fitted.events(features, positions), labels)
    model = Calibrated(fitted, edges, shares)
    calibration = {"edges": edges.tolist(), "shares": shares.tolist(), "prior_logit": prior}
    by_first(lambda: write_json(folder / CALIBRATION, calibration))
    without = Calibrated(fitted, *binned_shares(fitted.events(features, fitting.position), fitting.label))
    predicted = without.events(features, valid.position)
    diagram = reliability(predicted, valid.label)
    columns = {name: column.tolist() for name, column in diagram._asdict().items()}
    by_first(lambda: write_json(folder / RELIABILITY, columns))
    return model, {
        **metrics,
        "answered": share,
        "auc": binary.auc(predicted, valid.label),
        "logloss": binary.logloss(predicted, valid.label),
        "ece": diagram.gap,
        "lowest": float(shares[0]),
        "highest": float(shares[-1]),
    }


def reopen(config: ConfigDict, features: PairFeatures, folder: Path) -> Calibrated:
    """What `train` left in `folder`."""
    saved = read_json(folder / CALIBRATION)
    fitted = load(config.propensity, features, prior_logit=saved["prior_logit"], folder=folder)
    return Calibrated(fitted, np.asarray(saved["edges"], np.float64), np.asarray(saved["shares"], np.float64))


def binned_shares(logits: ArrayLike, labels: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(edges [B - 1], shares [B]): bins with at least ANSWERS_PER_BIN positives each, at most MAX_BINS, merged until
    the shares ascend.

    Equal logits share a bin, and a bin that this leaves with too few positives is joined to the next. Fewer positives
    than two bins need give one bin: the overall share, 0 only where there are none.
    """
    logits, labels = np.asarray(logits, np.float64), np.asarray(labels, np.float64)
    order = np.argsort(logits, kind="stable")
    z, hits = logits[order], ranges.sums_before(labels[order])
    num_bins = int(np.clip(hits[-1] // ANSWERS_PER_BIN, 1, MAX_BINS))
    wanted = np.searchsorted(hits, hits[-1] * np.arange(1, num_bins) / num_bins)  # where each next bin begins
    bounds = [0]
    for place in np.unique(np.searchsorted(z, z[np.minimum(wanted, len(z) - 1)], side="left")):
        if min(hits[place] - hits[bounds[-1]], hits[-1] - hits[place]) >= ANSWERS_PER_BIN:
            bounds.append(int(place))
    begin = np.array([*bounds, len(z)])
    size = np.diff(begin)
    begin = begin[isotonic_regression(np.diff(hits[begin]) / size, weights=size).blocks]
    return z[begin[1:-1]], np.diff(hits[begin]) / np.diff(begin)


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
