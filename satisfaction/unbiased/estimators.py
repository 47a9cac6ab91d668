"""What the few who answer say about everybody: naive, inverse propensity, self-normalised and doubly robust estimates.

With impressions D, answered ones O ⊂ D, answers s, and p = Pr(answered), each loss is a weighted sum of cross-entropies
CE(y, ŝ) = −y log ŝ − (1 − y) log(1 − ŝ), and each estimate of the mean satisfaction the same sum of labels:

                 label y              weight w           divided by
    naive        s                    1 on O             |O|              Zhang et al., CIKM '24, equation 3
    ips          s                    1/max(p, M) on O   |D|              equations 4 and 6
    snips        s                    1/max(p, M) on O   Σ_O 1/max(p, M)  Swaminathan and Joachims, NeurIPS '15
    dr           s̃ + (s − s̃)/max(p, M) on O, s̃ elsewhere; w = 1, |D|      Wang et al., ICML '19

As a loss snips is ips: with propensities given, its divisor is a number that no parameter of the model changes, and
both have one minimum. (Swaminathan and Joachims train what the weights depend on, and theirs do differ.) So models are
trained by naive, ips and dr, and snips estimates means, where dividing by |D| is not the same.

The paper prints |O| in equations 4 and 6; its proof divides by |D|, and only then is the loss unbiased. CE is linear in
its label, so that the doubly robust loss CE(s̃, ŝ) + (o/p)(CE(s, ŝ) − CE(s̃, ŝ)) is one CE with the label above.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike, NDArray

from runtime.errors import DataError, UsageError

Floats = NDArray[np.float64]
_MOST = 0.5  # of the answered impressions: if more of them have a propensity of 1, something gives the answers away


@dataclasses.dataclass(frozen=True)
class Estimator:
    """One row of the table: does it weigh by propensity, divide by the weights' sum, impute what nobody answered?"""

    weighs: bool
    self_normalised: bool
    imputes: bool


ESTIMATORS = {
    "naive": Estimator(weighs=False, self_normalised=True, imputes=False),
    "ips": Estimator(weighs=True, self_normalised=False, imputes=False),
    "snips": Estimator(weighs=True, self_normalised=True, imputes=False),
    "dr": Estimator(weighs=True, self_normalised=False, imputes=True),
}

TRAINED_BY = ("naive", "ips", "dr")  # those that are a loss of their own


def estimator_of(name: str, clip: float) -> Estimator:
    """The estimator that trains, config.satisfaction.estimator; errors: UsageError, for a clip outside [0, 1] too."""
    if name == "snips":
        raise UsageError(
            "--config.satisfaction.estimator=snips: trains the same model as ips, which is its name; set it"
        )
    if name not in TRAINED_BY:
        raise UsageError(f"--config.satisfaction.estimator={name}: one of {', '.join(TRAINED_BY)}")
    if not 0 <= clip <= 1:
        raise UsageError(f"--config.satisfaction.clip={clip}: M of equation 6 lies in [0, 1]; 0 clips nothing")
    return ESTIMATORS[name]


def check_propensities(propensity: ArrayLike, *, clip: float, where: ArrayLike) -> None:
    """DataError, naming the event, where an answered impression's propensity has no use: 0, above 1, or a weight too
    large; and where most are 1, as something gives away who answers. A few that are 1 weigh 1: all impressions like
    theirs were answered.

    Args: propensity [E]; clip M; where [E] bool, the answered impressions.
    """
    propensity, answered = np.asarray(propensity, np.float64), np.flatnonzero(where)
    at = propensity[answered]
    for wrong, what, remedy in (
        (~np.isfinite(at), "no number", "train the propensity model at a lower learning rate"),
        (at <= 0, "0, of an impression that was answered", "give probabilities; what can never happen has no inverse"),
        (at > 1, "above 1", "give probabilities"),
        (
            (at >= 1) & (np.mean(at >= 1) > _MOST),
            "1: certain to be answered",
            "leave out what gives the answer away, or set estimator=naive",
        ),
    ):
        if wrong.any():
            event = answered[np.flatnonzero(wrong)[0]]
            raise DataError(f"propensity of event {event} is {what} ({wrong.sum():,} such events); {remedy}")
    with np.errstate(divide="ignore", over="ignore"):
        weights = np.float32(1) / np.maximum(at, clip).astype(np.float32)
        total = weights.sum(dtype=np.float32)
    if not np.isfinite(total):
        event = answered[np.argmin(at)]
        raise DataError(
            f"inverse propensities overflow: event {event} has propensity {at.min():.3g}; raise "
            "--config.satisfaction.clip"
        )


def weights(estimator: Estimator, propensity: ArrayLike, *, clip: float) -> Floats:
    """w of answered impressions, [E]: 1/max(p, M), or 1 for the naive estimator."""
    propensity = np.asarray(propensity, np.float64)
    return 1 / np.maximum(propensity, clip) if estimator.weighs else np.ones_like(propensity)


def doubly_robust_labels(answers: ArrayLike, propensity: ArrayLike, imputed: ArrayLike, *, clip: float) -> Floats:
    """s̃ + o (s − s̃)/max(p, M), [E]: labels that may lie outside [0, 1].

    `answers` are −1 where nobody answered; there p is not read, and may be 0.
    """
    answers, propensity = np.asarray(answers), np.asarray(propensity, np.float64)
    labels, answered = np.array(imputed, np.float64), answers >= 0
    labels[answered] += (answers[answered] - labels[answered]) / np.maximum(propensity[answered], clip)
    return labels


def terms(
    estimator: Estimator, answers: ArrayLike, propensity: ArrayLike, *, clip: float, imputed: ArrayLike | None = None
) -> tuple[Floats, Floats]:
    """(numerators [E], denominators [E]) whose sums' ratio estimates the mean satisfaction over all impressions.

    Args: answers [E], −1 none, 0, 1; propensity [E], read where answered; clip M; imputed [E], s̃, for estimators that
      impute.
    """
    answers = np.asarray(answers)
    if estimator.imputes:
        if imputed is None:
            raise ValueError("a doubly robust estimate needs imputed satisfactions")
        return doubly_robust_labels(answers, propensity, imputed, clip=clip), np.ones(len(answers))
    answered, weight = answers >= 0, np.zeros(len(answers))
    weight[answered] = weights(estimator, np.asarray(propensity)[answered], clip=clip)
    return weight * answers, weight if estimator.self_normalised else np.ones(len(answers))


def cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """CE(y, σ(z)) = softplus(z) − y z of any shape; exact at any logit, linear in y."""
    return jax.nn.softplus(logits) - labels * logits


def satisfaction_loss(
    logits: jax.Array, labels: jax.Array, weights: jax.Array, *, total: jax.Array | float | None = None
) -> jax.Array:
    """Σ w CE(y, σ(z)) / total; `total` is Σ w where none is given (equation 3; self-normalised), all arrays [B].

    0 where all weights are 0, with zero gradients.
    """
    total = jnp.sum(weights) if total is None else jnp.asarray(total)
    return jnp.sum(weights * cross_entropy(logits, labels)) / jnp.where(total == 0, 1.0, total)
