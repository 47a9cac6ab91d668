"""Alternatives to the not-to-recommend term on the same margins, to be compared with it: the paper's (section 2), and
what was published since.

With the margin m of a label, log p = −softplus(−m) and p = σ(m). Where the not-to-recommend term pulls at the label's
logit with w·p, which vanishes once the item is no longer recommended, these pull with what is left at p → 0:

    negative weight in cross entropy    w (1 − p) → w, for ever: the loss w log p has no lower bound, ∂/∂p = w / p
    REINFORCE with a negative reward    w min(p / β, c) K (1 − p)^K: up to w c K while p is small but β is smaller
    up-weighted among the negatives     part of the positive's own term: no gradient where the positive is learned
    that and the not-to-recommend term  both
    contrastive, after X's recommender  as up-weighted, of all noes of a user; nothing of one who likes nothing
    separate histories, after PNFRec    likewise, and a cross entropy of noes, by an encoder of noes that never serves
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from encoders.labels import Asked
from retrieval.losses import joint_loss

LabelLosses = Callable[..., jax.Array]
"""(labels, margins [rows], is_positive, is_negative, positive_weights, negative_weights) -> losses [rows]."""


def negative_weight_loss(
    margins: jax.Array,
    *,
    is_positive: jax.Array,
    is_negative: jax.Array,
    positive_weights: jax.Array | float = 1.0,
    negative_weights: jax.Array | float = 1.0,
) -> jax.Array:
    """Cross entropy in which negative labels have a negative weight: L_i = −r_i log p, or +w_i log p.

    Wang et al., RecSys '23, section 2. Shapes as in `retrieval.losses.joint_loss`; rows that are neither are 0,
    whatever their margin. The negative term has no lower bound.
    """
    log_p = -jax.nn.softplus(-_safe(margins, is_positive | is_negative))
    positive = jnp.where(is_positive, -positive_weights * log_p, 0.0)
    return positive + jnp.where(is_negative, negative_weights * log_p, 0.0)


def reinforce_loss(
    margins: jax.Array,
    log_behaviour: jax.Array,
    *,
    is_positive: jax.Array,
    is_negative: jax.Array,
    positive_weights: jax.Array | float = 1.0,
    negative_weights: jax.Array | float = 1.0,
    top_k: int = 16,
    weight_cap: float = float("inf"),
) -> jax.Array:
    """REINFORCE with off-policy correction for slates: L_i = −R_i · stop(min(p/β, c) · K (1 − p)^(K−1)) · log p.

    The reward R_i is r_i of positive labels, −w_i of negative ones. Chen et al., WSDM '19 (Top-K Off-Policy Correction
    for a REINFORCE Recommender System): sections 4.2 to 4.4, equation 9; Wang et al., RecSys '23, section 2. The
    value means nothing, its gradient does: nothing flows through the correction.

    Args:
      margins: [rows]. log_behaviour: [rows], log β, the probability with which the log's policy chose the label.
      is_positive, is_negative, positive_weights, negative_weights: as in `retrieval.losses.joint_loss`.
      top_k: K, the size of the slates.
      weight_cap: c, the most that an importance weight p/β may be.
    """
    if top_k < 1:
        raise ValueError(f"top_k must be at least 1, got {top_k}")
    used = is_positive | is_negative
    margins, log_behaviour = _safe(margins, used), _safe(log_behaviour, used)
    log_p = -jax.nn.softplus(-margins)
    log_not_p = -jax.nn.softplus(margins)
    importance = jnp.minimum(jnp.exp(jnp.minimum(log_p - log_behaviour, 80.0)), weight_cap)
    correction = importance * top_k * jnp.exp((top_k - 1) * log_not_p)
    reward = jnp.where(is_positive, positive_weights, 0.0) - jnp.where(is_negative, negative_weights, 0.0)
    return -reward * jax.lax.stop_gradient(correction) * log_p


def joined_margins(
    margins: jax.Array, label_logits: jax.Array, disliked_logits: jax.Array, *, weight: float, where: jax.Array
) -> jax.Array:
    """Margins where disliked items join those that a label is held up against, `weight` times each.

    m' = l_y − log(Σ_{j≠y} exp(l_j) + weight Σ_d exp(l_d)). Of a corpus that has them already, a weight of w − 1 lets
    them count w times among the softmax negatives (Wang et al., RecSys '23, section 2). Of a sample that holds nothing
    but the label, m is 0 and so read as a sum of exp(l_y).

    Args:
      margins, label_logits: [rows], m and l_y.
      disliked_logits: [rows, A], l_d of the disliked items of each row.
      weight: 0 or more; 0 changes nothing.
      where: [rows, A] bool, entries that are there.
    """
    if weight < 0:
        raise ValueError(f"weight must be 0 or more, got {weight}")
    if weight == 0:
        return margins
    extra = contrast(label_logits, disliked_logits, where=where) + jnp.log(weight)
    return jnp.where(where.any(axis=1), -jnp.logaddexp(-margins, extra), margins)


def contrast(label_logits: jax.Array, disliked_logits: jax.Array, *, where: jax.Array) -> jax.Array:
    """log Σ_d exp(l_d) − l_y, [rows], of label logits [rows] and those of disliked items [rows, A].

    A row without any, where `where` [rows, A] is False, has a finite number without a meaning, and no gradient.
    """
    differences = jnp.where(where, disliked_logits - label_logits[:, None], -jnp.inf)
    # A row without any would make log-sum-exp's gradient NaN even where its result is not used.
    return jax.nn.logsumexp(jnp.where(where.any(axis=1)[:, None], differences, 0.0), axis=1)


def beside(marked: jax.Array, segment: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The marked rows next to each row, before and after it, in its own segment.

    marked, segment [S, R], rows in order and segments contiguous -> places [S, R, 2] along the second axis, and whether
    there is one [S, R, 2]. A marked row is next to itself.
    """
    rows = jnp.broadcast_to(jnp.arange(marked.shape[1]), marked.shape)
    before = jax.lax.cummax(jnp.where(marked, rows, -1), axis=1)
    after = jax.lax.cummin(jnp.where(marked, rows, marked.shape[1]), axis=1, reverse=True)
    places = jnp.stack([before, after], axis=-1)  # [S, R, 2]
    inside = (places >= 0) & (places < marked.shape[1])
    places = jnp.where(inside, places, 0)
    same = jnp.take_along_axis(segment[..., None], places, axis=1) == segment[..., None]
    return places, inside & same


def _negative_weight(config: ConfigDict, label_counts: np.ndarray) -> LabelLosses:
    return lambda asked, margins, **weighted: negative_weight_loss(margins, **weighted)


def _reinforce(config: ConfigDict, label_counts: np.ndarray) -> LabelLosses:
    # The policy that wrote the log, without its context: how often it led to each item, one more so that none is 0.
    behaviour = (label_counts + 1) / (label_counts.sum() + len(label_counts) - 1)
    log_behaviour = jnp.asarray(np.log(behaviour), jnp.float32)
    slates = {"top_k": config.reinforce_top_k, "weight_cap": config.reinforce_weight_cap}
    return lambda asked, margins, **weighted: reinforce_loss(margins, log_behaviour[asked.item], **weighted, **slates)


def _softmax_negatives(config: ConfigDict, label_counts: np.ndarray) -> LabelLosses:
    def losses(asked: Asked, margins: jax.Array, *, is_negative: jax.Array, **weighted: Any) -> jax.Array:
        margins = _upweighted_beside(asked, margins, is_negative, config.negative_weight)
        return joint_loss(margins, is_negative=jnp.zeros_like(is_negative), **weighted)

    return losses


def _label_and_softmax_negatives(config: ConfigDict, label_counts: np.ndarray) -> LabelLosses:
    # The not-to-recommend term of the plain margins, and among the negatives of the positives beside it too.
    def losses(asked: Asked, margins: jax.Array, *, is_negative: jax.Array, **weighted: Any) -> jax.Array:
        upweighted = _upweighted_beside(asked, margins, is_negative, config.denominator_weight)
        return joint_loss(jnp.where(is_negative, margins, upweighted), is_negative=is_negative, **weighted)

    return losses


def _upweighted_beside(asked: Asked, margins: jax.Array, is_negative: jax.Array, weight: float) -> jax.Array:
    # The margins [rows] where the disliked items next to each label, before and after it, count `weight` times; those
    # before it once less where --config.among_unmet has taken them out of the corpus.
    window = asked.window  # [S, R]
    places, there = beside(is_negative.reshape(window.shape), window)  # [S, R, 2]
    item = asked.item.reshape(*window.shape, 1)
    disliked = jnp.take_along_axis(item, places, axis=1).reshape(-1, 2)  # [S * R, 2]
    return joined_margins(
        margins,
        jnp.sum(asked.queries * asked.vectors[asked.item], axis=1),
        jnp.einsum("rd,rad->ra", asked.queries, asked.vectors[disliked]),
        weight=weight - 1,
        where=there.reshape(-1, 2) & (disliked != asked.item[:, None]),
    )


def _contrastive(config: ConfigDict, label_counts: np.ndarray) -> LabelLosses:
    # After the retrieval of X's recommender (github.com/xai-org/x-algorithm, 2026): what a user says no to vetoes a
    # positive of the same item, and joins what the user's positives are held up against, here `negative_weight` times.
    # There is no other term, so nothing is learned from a user who likes nothing. Departures: held up against the whole
    # corpus and not the batch, so that all losses have the same negatives; a user's noes and positives are those of the
    # label's window; and the mean is over labels, not over users.
    def losses(
        asked: Asked, margins: jax.Array, *, is_positive: jax.Array, is_negative: jax.Array, **weighted: Any
    ) -> jax.Array:
        label_logits, disliked_logits, own, vetoed = _noes_of_window(asked, is_negative)
        margins = joined_margins(margins, label_logits, disliked_logits, weight=config.negative_weight, where=own)
        return joint_loss(
            margins, is_positive=is_positive & ~vetoed, is_negative=jnp.zeros_like(is_negative), **weighted
        )

    return losses


def _separate_histories(config: ConfigDict, label_counts: np.ndarray) -> LabelLosses:
    # PNFRec (Ivanova et al., RecSys '25), as its published code has it: the mean cross entropy of the positives,
    # `opposing_weight` times that of the noes, which are asked of an encoder of their own (--config.opposing_feedback),
    # and `negative_weight` times −log(exp(l_y) / (exp(l_y) + Σ_d exp(l_d))), the contrast of a positive with all noes
    # of its window, later ones too. The contrast alone reaches the encoder that serves.
    def losses(
        asked: Asked,
        margins: jax.Array,
        *,
        is_positive: jax.Array,
        is_negative: jax.Array,
        positive_weights: jax.Array | float = 1.0,
        negative_weights: jax.Array | float = 1.0,
    ) -> jax.Array:
        # All is divided by the number of positives; noes are few, and have a mean of their own.
        of_noes = config.opposing_weight * is_positive.sum() / jnp.maximum(is_negative.sum(), 1)
        found = joint_loss(
            margins,
            is_positive=is_positive | is_negative,
            is_negative=jnp.zeros_like(is_negative),
            positive_weights=jnp.where(is_negative, of_noes, positive_weights),
        )
        label_logits, disliked_logits, own, _ = _noes_of_window(asked, is_negative)
        apart = jax.nn.softplus(contrast(label_logits, disliked_logits, where=own))
        return found + jnp.where(is_positive & own.any(axis=1), negative_weights * apart, 0.0)

    return losses


def _noes_of_window(asked: Asked, is_negative: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    # Of each label its logit [S * R], those of the R labels of its shard, which of these are noes of its own window to
    # other items [S * R, R], and whether one is to the same item [S * R].
    window = asked.window  # [S, R]
    queries, vectors = (x.reshape(*window.shape, -1) for x in (asked.queries, asked.vectors[asked.item]))
    logits = jnp.einsum("sqd,sad->sqa", queries, vectors)  # [S, R, R]
    item, noes = asked.item.reshape(window.shape), is_negative.reshape(window.shape)
    own = (window[:, :, None] == window[:, None]) & noes[:, None]
    same = item[:, :, None] == item[:, None]
    flat = (-1, window.shape[1])
    label_logits = jnp.einsum("sqd,sqd->sq", queries, vectors).reshape(-1)
    return label_logits, logits.reshape(flat), (own & ~same).reshape(flat), (own & same).any(axis=2).reshape(-1)


OBJECTIVES: Mapping[str, Callable[[ConfigDict, np.ndarray], LabelLosses]] = {
    "negative_weight": _negative_weight,
    "reinforce": _reinforce,
    "softmax_negatives": _softmax_negatives,
    "label_and_softmax_negatives": _label_and_softmax_negatives,
    "contrastive": _contrastive,
    "separate_histories": _separate_histories,
}
"""Names of --config.objective, each made for a run from its config and the training labels of items [N + 1]."""


def _safe(values: jax.Array, used: jax.Array) -> jax.Array:
    # A row that does not count may hold NaN or infinity.
    return jnp.where(used, values, 0.0)
