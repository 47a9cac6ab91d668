"""What a trained ranker attends to: which experts each task uses, and which features weigh how much."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from ranking.checkpoint import Ranker
from ranking.experts import MMoE

_IMPRESSIONS = 4096


def inspect(ranker: Ranker, positions: NDArray[np.int64]) -> dict[str, Any]:
    """Means over (at most 4,096 of) the impressions at `positions`, evenly spaced.

    Returns: `gates`, task -> the weights g of its experts, which sum to one (equation in 2.3); `slots`, [name, α] of
    each slot (equation 7), a slot that is no single feature named by its first and last one. What the model lacks is
    left out.
    """
    model = ranker.model
    chosen = positions[np.linspace(0, len(positions) - 1, min(len(positions), _IMPRESSIONS)).astype(int)]
    inputs = {name: jnp.asarray(column) for name, column in ranker.impressions.inputs(chosen).items()}
    found: dict[str, Any] = {}
    if isinstance(model.prediction, MMoE):
        gates = model.prediction.gate_weights(model.representation(inputs))  # [B, 1, K, N]
        found["gates"] = dict(zip(ranker.tasks, _mean(gates), strict=True))
    if model.context is not None:
        features, context = model.features(inputs)
        weights = _mean(model.context.slot_weights(model.context.transformed(features, context), context))  # [S]
        found["slots"] = list(zip(_slot_names(model.features.names, len(weights)), weights, strict=True))
    return found


def _slot_names(features: tuple[str, ...], slots: int) -> list[str]:
    # Slots cut the concatenated features into equal parts, which need not end where a feature does.
    first = np.arange(slots) * len(features) // slots
    last = -(-np.arange(1, slots + 1) * len(features) // slots) - 1
    return [features[a] if a == b else f"{features[a]} … {features[b]}" for a, b in zip(first, last, strict=True)]


def _mean(values: jax.Array) -> list[Any]:
    return np.asarray(values, np.float64).mean(axis=tuple(range(2))).round(6).tolist()
