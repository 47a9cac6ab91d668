"""The AUC of each task on the validation days, measured after every epoch of training."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh
from numpy.typing import NDArray

from metrics.binary import auc
from ranking.inputs import Impressions
from ranking.model.ranker import RankingModel
from ranking.tasks import SOFT, Labels
from runtime.errors import DataError
from training.mesh import local_parts, replicated, shard_batch

_CHUNK = 1024  # impressions at a time


def make_validation(
    merge: Callable[[Any], RankingModel],
    impressions: Impressions,
    positions: NDArray[np.int64],
    labels: Labels,
    tasks: Sequence[str],
    mesh: Mesh,
) -> Callable[[Any], dict[str, float]]:
    """`validate(params) -> {"<TASK>/auc": …, "auc": their mean}` over the impressions at `positions`.

    A task of one class there has no AUC and is left out of both. Every host scores its part of each chunk, on all of
    its devices. Errors: DataError where no task is left.
    """
    chunk = _CHUNK + -_CHUNK % mesh.shape["data"]
    filled = np.pad(positions, (0, -len(positions) % chunk), mode="edge")
    parts = filled.reshape(-1, mesh.shape["data"], chunk // mesh.shape["data"])[:, local_parts(mesh)]
    of_host = parts.reshape(len(parts), -1)  # [chunks, this host's impressions of one]
    logits = jax.jit(lambda params, inputs: merge(params)(inputs)[:, 0], out_shardings=replicated(mesh))
    values, where = labels.values[positions] > SOFT, labels.where[positions]
    if not any(0 < values[where[:, k], k].mean() < 1 for k in range(len(tasks)) if where[:, k].any()):
        raise DataError(
            f"no task of {', '.join(tasks)} has both classes on the validation days: nothing says when to stop"
        )

    def validate(params: Any) -> dict[str, float]:
        scores = [np.asarray(logits(params, shard_batch(impressions.inputs(part), mesh))) for part in of_host]
        flat = np.concatenate(scores)[: len(positions)]
        areas = {f"{task}/auc": auc(flat[:, k], values[:, k], where=where[:, k]) for k, task in enumerate(tasks)}
        areas = {name: area for name, area in areas.items() if not np.isnan(area)}
        return {**areas, "auc": float(np.mean(list(areas.values())))}

    return validate
