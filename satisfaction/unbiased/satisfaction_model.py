"""Step "satisfaction": ŝ = g(u, i) from the few who answered (Zhang et al., CIKM '24, equations 1 to 6)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict
from numpy.typing import NDArray
from scipy.special import expit, logit

from data.timelines import Timelines
from metrics import binary
from runtime.errors import DataError
from satisfaction.splits import is_earlier
from satisfaction.unbiased.answers import NO_ANSWER
from satisfaction.unbiased.estimators import check_propensities, doubly_robust_labels, estimator_of, weights
from satisfaction.unbiased.features import PairFeatures
from satisfaction.unbiased.fitting import Examples, Fitted, fit, load, mean_of, split

IMPUTATION, MODEL = "imputation", "model"
_LEAST_OF_A_KIND = 2  # one is fitted, one validates


def train(
    config: ConfigDict,
    timelines: Timelines,
    features: PairFeatures,
    *,
    answers: NDArray[np.int8],
    propensity: NDArray[np.float64],
    trained: NDArray[np.bool_],
    folder: Path,
    fingerprint: Mapping[str, Any],
) -> tuple[Fitted, dict[str, float]]:
    """Fits on the training answers by config.satisfaction.estimator; `propensity` [E] is read where answered.

    The model is the mean logit of config.satisfaction.members fits, each from a start of its own and stopped early on
    validating answers of its own: one fit of so few answers varies more than estimators differ. Metrics are means.
    The doubly robust estimator fits a naive model first, whose predictions are s̃, then learns from all impressions
    (`completed`).
    Errors: DataError for one class of answers, and those of `check_propensities`.
    """
    options = config.satisfaction
    estimator = estimator_of(options.estimator, options.clip)
    asked = trained & ~is_earlier(timelines)  # of earlier history one kind of answer may be all that was kept
    answered = np.flatnonzero(asked & (answers >= 0))
    labels = answers[answered].astype(np.float32)
    if min(labels.sum(), (1 - labels).sum()) < _LEAST_OF_A_KIND:
        raise DataError(
            f"{timelines.path}: {len(labels)} answers before the held-out events, {int(labels.sum())} of them "
            "'satisfied'; a satisfaction model needs several of both kinds: take more days"
        )
    if estimator.weighs:
        check_propensities(propensity, clip=options.clip, where=asked & (answers >= 0))
    weight = weights(estimator, propensity[answered], clip=options.clip)
    examples = Examples(answered, labels, (weight / weight.mean()).astype(np.float32))
    prior = float(logit(np.average(labels, weights=weight)))
    members, measured = [], []
    for member in range(options.members):
        seed = config.seed + member
        fitting, valid = split(examples, share=options.valid_share, seed=seed)
        common: dict[str, Any] = {"prior_logit": prior, "seed": seed, "fingerprint": fingerprint}
        place = folder / str(member)
        if not estimator.imputes:
            fitted, metrics = fit(options, features, fitting, valid, folder=place / MODEL, **common)
        else:
            naive = Examples(fitting.position, fitting.label, np.ones_like(fitting.weight))
            first, _ = fit(options, features, naive, valid, folder=place / IMPUTATION, **common)
            positions = np.flatnonzero(asked)
            everything = completed(
                fitting,
                positions,
                expit(first.events(features, positions)),
                propensity[positions],
                answered=len(answered),
                clip=options.clip,
            )
            fitted, metrics = fit(config.doubly_robust, features, everything, valid, folder=place / MODEL, **common)
        members.append(fitted)
        measured.append({**metrics, "auc": binary.auc(fitted.events(features, valid.position), valid.label)})
    means = {name: float(np.mean([metrics[name] for metrics in measured])) for name in measured[0]}
    return mean_of(members), {**means, "answers": float(len(answered)), "prior": prior}


def completed(
    fitting: Examples,
    positions: NDArray[np.int64],
    imputed: NDArray[np.float64],
    propensity: NDArray[np.float64],
    *,
    answered: int,
    clip: float,
) -> Examples:
    """Every impression with its doubly robust label s̃ + o (s − s̃) / max(κ p, κ M), of weight 1.

    o is whether `fitting` has the answer. The answers that validate are kept from the labels, so an answer is there
    with probability κ p, where κ is the share of the answers that `fitting` has: divided by p alone, labels would
    go only κ of the way from what is imputed to what is said.

    Args:
      positions, imputed, propensity: [n] of all impressions, `positions` ascending: where, s̃ and p, the probability
        of an answer, for fitting or validating.
      answered: how many answers there are, for either. clip: M.
    """
    kept = len(fitting.position) / answered
    known = np.full(len(positions), NO_ANSWER, np.int8)
    known[np.searchsorted(positions, fitting.position)] = fitting.label
    labels = doubly_robust_labels(known, kept * propensity, imputed, clip=kept * clip)
    return Examples(positions, labels.astype(np.float32), np.ones(len(positions), np.float32))


def reopen(config: ConfigDict, features: PairFeatures, *, prior_logit: float, folder: Path) -> Fitted:
    """What `train` left in `folder`."""
    imputes = estimator_of(config.satisfaction.estimator, config.satisfaction.clip).imputes
    options = config.doubly_robust if imputes else config.satisfaction
    members = range(config.satisfaction.members)
    return mean_of([load(options, features, prior_logit=prior_logit, folder=folder / str(m) / MODEL) for m in members])
