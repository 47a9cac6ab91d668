"""The losses of SAQRec: equations 15 to 19 of Zhang et al., CIKM '24, on logits.

Predictions ŷ and ŝ_f of equation 14 are inner products, the logits of the cross entropies.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy.special import betainc, xlog1py, xlogy

from satisfaction.unbiased.estimators import cross_entropy


def weighted_mean(losses: jax.Array, *, weights: jax.Array) -> jax.Array:
    """Σ w l / Σ w, 0 where all weights are; numbers, or True and False."""
    total = weights.sum()
    return jnp.where(weights > 0, weights * losses, 0.0).sum() / jnp.where(total > 0, total, 1.0)


def click_bce(positive_logits: jax.Array, negative_logits: jax.Array, *, weights: jax.Array) -> jax.Array:
    """L_C of equation 15, D being the clicks and as many sampled non-clicks as there are columns.

    Args:
      positive_logits: [R]. negative_logits: [R, K]. weights: [R], all 1 in the paper.
    """
    terms = cross_entropy(positive_logits, jnp.ones(())) + cross_entropy(negative_logits, jnp.zeros(())).sum(axis=1)
    return weighted_mean(terms, weights=weights) / (1 + negative_logits.shape[1])


def minmax(losses: jax.Array, *, where: jax.Array) -> jax.Array:
    """(loss − min) / (max − min) over the batch's True places, in [0, 1]; 0 where all are equal."""
    low = jnp.min(losses, where=where, initial=jnp.inf)
    high = jnp.max(losses, where=where, initial=-jnp.inf)
    span = jnp.where(high > low, high - low, 1.0)
    # The quotient of the largest may round below 1, where the distribution's density is infinite.
    scaled = jnp.where(losses >= high, 1.0, jnp.clip((losses - low) / span, 0.0, 1.0))
    return jnp.where(where & (high > low), scaled, 0.0)


def divergence(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """KL(s ‖ σ(l)) = L_S − H(s) of each example, [R]: how far the model is from label s, 0 where they agree.

    L_S of equation 16 alone does not say that: it is never below the entropy of its label, so that of a label of ½ it
    is large in full agreement.
    """
    entropy = -(xlogy(labels, labels) + xlog1py(1.0 - labels, -labels))
    return jnp.maximum(cross_entropy(logits, labels) - entropy, 0.0)  # rounding may go below 0


def beta_cdf_weight(a: float, b: float) -> Callable[..., jax.Array]:
    """λ of equation 17: the CDF of Beta(a, b) at each example's disagreement, min-max scaled over the batch.

    λ is in [0, 1], 0 for the batch's smallest disagreement and 1 for its largest: where the model agrees with the
    pseudo-label it is believed, where it does not the pseudo-label is. Two things of it are not in the paper's letter.

    The function. The paper says "the beta function" and that λ is smaller when the loss is smaller, no more. The beta
    function takes two arguments and falls in both, and a density may exceed 1; the distribution's CDF rises from 0 to
    1, as the weight of a mixture has to. The released code has it, with a = b = ½.

    Its argument. The released code takes L_S of each example, min-max scaled over the batch. The paper wants it as a
    measure of agreement ("when L_S is smaller, indicating better satisfaction prediction by SAQRec, λ becomes
    smaller"), and for labels of 0 and 1, which the label corrections that it cites are made for, it is one. Imputed
    labels lie between, and there L_S follows the label's entropy: ŝ = ½ in full agreement would have λ = 1, and
    ŝ = .999 against σ(l) = .9 would have 0. So it is `divergence` here, L_S less that entropy: the same for labels of 0
    and 1, of the same gradient for all, and smaller exactly where the prediction is better.
    """

    def weight(disagreement, *, where):
        scaled = minmax(disagreement, where=where)
        # Of Beta(½, ½) the CDF has a closed form, which compiles in a tenth of the time.
        share = 2 / jnp.pi * jnp.arcsin(jnp.sqrt(scaled)) if a == b == 0.5 else betainc(a, b, scaled)
        return jnp.where(where, jnp.clip(share, 0.0, 1.0), 0.0)

    return weight


def satisfaction_loss(
    logits: jax.Array,
    imputed: jax.Array,
    *,
    where: jax.Array,
    corrects: jax.Array,
    weight: Callable[..., jax.Array],
) -> jax.Array:
    """L_S of equation 16, or with label correction L_S^mix of equation 17: equation 18 is the switch between them.

    ŝ_mix = λ ŝ + (1 − λ) σ(l), λ = weight(`divergence` of each example); the mixed label is a label, no gradient goes
    through it.

    Args:
      logits: l of ŝ_f, [R]. imputed: ŝ [R]. where: [R] bool. corrects: bool, scalar or [R], epoch ≥ N_mix.
    """
    share = weight(divergence(jax.lax.stop_gradient(logits), imputed), where=where)
    mixed = share * imputed + (1.0 - share) * jax.nn.sigmoid(jax.lax.stop_gradient(logits))
    return weighted_mean(cross_entropy(logits, jnp.where(corrects, mixed, imputed)), weights=where)


def l2_norm(params: Any) -> jax.Array:
    """‖Θ‖₂ over all leaves; its gradient at zero is zero."""
    total = sum(jnp.sum(jnp.square(leaf)) for leaf in jax.tree.leaves(params))
    return jnp.sqrt(jnp.maximum(total, 1e-24))


def total_loss(
    click: jax.Array, satisfaction: jax.Array, params: Any, *, satisfaction_weight: float, l2_weight: float
) -> jax.Array:
    """L = L_C + β L_S + γ ‖Θ_f‖₂ (equation 19)."""
    total = click + satisfaction_weight * satisfaction
    return total + l2_weight * l2_norm(params) if l2_weight else total
