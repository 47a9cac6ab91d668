"""What a trained ranker attends to: which experts each task uses, and which features weigh how much."""

from typing import Any

import jax
import numpy as np
from flax import nnx
from numpy.typing import NDArray

from ranking.checkpoint import Ranker

_IMPRESSIONS = 4096


def inspect(ranker: Ranker, positions: NDArray[np.int64]) -> dict[str, Any]:
    """Means over (at most 4,096 of) the impressions at `positions`, evenly spaced.

    Returns: `gates`, task -> the weights g of its experts, which sum to one (equation in 2.3); `slots`, [name, α] of
    each slot (equation 7), a slot that is no single feature named by its first and last one. What the model lacks is
    left out.
    """
    chosen = positions[np.linspace(0, len(positions) - 1, min(len(positions), _IMPRESSIONS)).astype(int)]
    model, inputs = ranker.model, ranker.impressions.inputs(chosen)
    graph, state = nnx.split(model)

    @jax.jit
    def weights(state: Any, inputs: Any) -> dict[str, jax.Array]:
        model = nnx.merge(graph, state)
        attention = {}
        if model.prediction.gates is not None:
            attention["gates"] = model.prediction.gate_weights(model.representation(inputs))  # [B, 1, K, N]
        if model.context is not None:
            features, context = model.features(inputs)
            attention["slots"] = model.context.slot_weights(model.context.transformed(features, context), context)
        return attention

    means = {
        name: np.asarray(values, np.float64).mean(axis=(0, 1)).round(6).tolist()
        for name, values in weights(state, inputs).items()
    }
    attention: dict[str, Any] = {}
    if "gates" in means:
        attention["gates"] = dict(zip(ranker.tasks, means["gates"], strict=True))
    if "slots" in means:
        names = _slot_names(model.features.names, len(means["slots"]))
        of_name: dict[str, list[float]] = {}
        for name, weight in zip(names, means["slots"], strict=True):
            of_name.setdefault(name, []).append(weight)  # with more slots than features, several are one feature's
        attention["slots"] = [(name, float(np.mean(weights))) for name, weights in of_name.items()]
    return attention


def _slot_names(features: tuple[str, ...], slots: int) -> list[str]:
    # Slots cut the concatenated features into equal parts, which need not end where a feature does.
    first = np.arange(slots) * len(features) // slots
    last = -(-np.arange(1, slots + 1) * len(features) // slots) - 1
    return [features[a] if a == b else f"{features[a]} … {features[b]}" for a, b in zip(first, last, strict=True)]
