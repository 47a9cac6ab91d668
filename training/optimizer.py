"""AdamW with warm-up, cosine decay, global-norm clipping, and weight decay on matrices only."""

import re
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

from training.names import leaf_name
from training.rowwise_adagrad import scale_by_rowwise_adagrad


def warmup_cosine(
    *, learning_rate: float, total_steps: int, warmup_steps: int = 0, final_fraction: float = 0.0
) -> optax.Schedule:
    """lr(s) = learning_rate * min(1, (s + 1) / warmup) * (f + (1 - f) * (1 + cos(pi * progress)) / 2).

    `progress` goes from 0 at the end of the warm-up to 1 at `total_steps`; `final_fraction` f is what is left of the
    rate there, and 1 keeps it constant after the warm-up. The first step already learns: s + 1, not s.
    Errors: ValueError where the warm-up is longer than the training.
    """
    if not 0 <= warmup_steps <= total_steps:
        raise ValueError(f"warmup_steps={warmup_steps} is not between 0 and total_steps={total_steps}")
    decay_steps = max(total_steps - warmup_steps, 1)

    def schedule(step: jax.typing.ArrayLike) -> jax.Array:
        warmup = jnp.minimum(1.0, (jnp.asarray(step) + 1.0) / max(warmup_steps, 1))
        progress = jnp.clip((jnp.asarray(step) - warmup_steps) / decay_steps, 0.0, 1.0)
        decay = final_fraction + (1.0 - final_fraction) * 0.5 * (1.0 + jnp.cos(jnp.pi * progress))
        return learning_rate * warmup * decay

    return schedule


def make_optimizer(
    options: ConfigDict,
    *,
    total_steps: int,
    decays: Sequence[tuple[str, float]] = (),
    rowwise: tuple[str, float] | None = None,
) -> optax.GradientTransformation:
    """AdamW (Loshchilov & Hutter, 2019) on gradients clipped to a global norm of `options.clip_norm`.

    Biases, gains and other vectors are not decayed. A matrix in whose name the first of the expressions of `decays` is
    found has that weight decay instead of `options.weight_decay`: tables of ids that occur a few times each need a
    thousand times more of it than matrices that every example moves.

    Args:
      options: learning_rate, final_fraction, weight_decay, clip_norm; warmup_steps, 0 where there is none, and at most
        a quarter of the training, so that a short one is not all warm-up.
      rowwise: an expression and a learning rate, for tables that have row-wise Adagrad (training/rowwise_adagrad.py) in
        place of Adam. Their rate has the same schedule; `options.learning_rate` is that of their decay.
    """
    schedule = warmup_cosine(
        learning_rate=options.learning_rate,
        total_steps=total_steps,
        warmup_steps=min(options.get("warmup_steps", 0), total_steps // 4),
        final_fraction=options.final_fraction,
    )
    return optax.chain(
        optax.clip_by_global_norm(options.clip_norm),
        optax.scale_by_adam() if rowwise is None else _rowwise(rowwise[0], rowwise[1] / options.learning_rate),
        _decay(options.weight_decay, decays),
        optax.scale_by_learning_rate(schedule),
    )


def _rowwise(expression: str, scale: float) -> optax.GradientTransformation:
    def group(path: tuple[Any, ...], leaf: Any) -> str:
        return "rowwise" if re.search(expression, leaf_name(path)) else "adam"

    return optax.partition(
        {"rowwise": optax.chain(scale_by_rowwise_adagrad(), optax.scale(scale)), "adam": optax.scale_by_adam()},
        lambda params: jax.tree_util.tree_map_with_path(group, params),
    )


def _decay(weight_decay: float, decays: Sequence[tuple[str, float]]) -> optax.GradientTransformation:
    # Adds to each update its parameter times the decay of its name.
    def of(path: tuple[Any, ...], leaf: jax.Array) -> float:
        if leaf.ndim < 2:
            return 0.0
        name = leaf_name(path)
        return next((decay for expression, decay in decays if re.search(expression, name)), weight_decay)

    def decayed(updates: Any, params: Any) -> Any:
        return jax.tree_util.tree_map_with_path(lambda path, u, w: u + of(path, w) * w, updates, params)

    return optax.stateless(decayed)
