"""Writes the SavedModel of the exported ranker with its warm-up requests, and times single requests."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from data.timelines import Timelines
from nn import warmup
from nn.any_folder import load
from nn.tensorflow_graph import XlaFunction
from ranking.checkpoint import Ranker
from ranking.export import saved_model
from ranking.export import scores as scoring
from ranking.export.choice import Choice
from ranking.tables import outcomes
from runtime.errors import DataError

CANDIDATES = 500
_TIMED_REQUESTS = 200
_WARM = 20  # requests before the timed ones: threads start, memory is claimed

Request = dict[str, NDArray[Any]]


class Requests:
    """Makes the requests that a server gets, from a log and the tables of a model."""

    def __init__(self, timelines: Timelines, ranker: Ranker):
        self._timelines, self._length = timelines, ranker.config.length
        names = ranker.tables.manifest["history_feedback"]
        values, known = outcomes(timelines, names, ranker.tables.thresholds)
        self._flags = {
            name: np.where(known[:, k], values[:, k], -1).astype(np.int32)
            for k, name in enumerate(names)
            if name not in saved_model.WATCHED
        }
        surfaces = list(timelines.manifest.get("surfaces", ()))
        self._surfaces = np.array([saved_model.unknown_surface(surfaces), *surfaces])
        self._item_ids, self._user_ids = timelines.items["item_id"], timelines.users["user_id"]

    def at(self, user: int, end: int, *, time_ms: int, surface: int, candidates: NDArray[Any]) -> Request:
        """The request of a user whose last T events end at a position, for items [c] on a surface, both dense."""
        log = self._timelines
        events = slice(max(int(log.offsets[user]), end - self._length), end)
        columns: Request = {
            "history_item_id": self._item_ids.gather(log.item[events]).to_numpy(),
            "history_play_ms": log.play_ms[events],
            "history_surface": self._surfaces[log.surface[events]],
            "history_timestamp_ms": log.timestamp_ms[events],
            **{f"history_{name}": flag[events] for name, flag in self._flags.items()},
            "candidate_item_id": self._item_ids.gather(candidates).to_numpy(),
        }
        of_user: Request = {
            "user_id": self._user_ids.gather([user]).to_numpy(),
            "platform": self._surfaces[[surface]],
            "time_ms": np.array([time_ms], np.int64),
        }
        return {**{name: column[None] for name, column in columns.items()}, **of_user}

    def random(self, number: int, *, candidates: int, seed: int = 1) -> list[Request]:
        """Requests of random users a second after their last event, for `candidates` random items."""
        log, rng = self._timelines, np.random.default_rng(seed)
        made = []
        for user in rng.choice(np.flatnonzero(np.diff(log.offsets) > 0), number):
            end = int(log.offsets[user + 1])
            items = 1 + rng.permutation(log.num_items)[:candidates]
            moment = int(log.timestamp_ms[end - 1]) + 1_000
            surface = int(log.surface[end - 1])
            made.append(self.at(int(user), end, time_ms=moment, surface=surface, candidates=items))
        return made


def write(
    folder: Path,
    ranker: Ranker,
    timelines: Timelines,
    *,
    rates: NDArray[np.float32],
    choice: Choice,
    max_candidates: int,
    warmup_batch_sizes: Sequence[int],
    reject_unknown_ids: bool,
) -> dict[str, float]:
    """Adds saved_model/ to `folder`.

    Args: as exporting.write.
    Returns: `p50_ms`, `p99_ms`: milliseconds that ranking up to 500 candidates takes for one user; `candidates`.
    Errors: DataError where an id stands for padding in requests, or the model's scores are not finite.
    """
    path = folder / "saved_model"
    scorer = XlaFunction(
        scoring.scorer(ranker.model, choice.calibrators),
        *scoring.shapes(length=ranker.config.length, num_rates=rates.shape[1]),
    )
    served = saved_model.ServedRanker(
        scorer,
        length=ranker.config.length,
        tasks=ranker.tasks,
        weights=choice.weights,
        history_feedback=ranker.tables.manifest["history_feedback"],
        thresholds=ranker.tables.thresholds,
        rates=rates,
        item_ids=timelines.items["item_id"][1:].to_numpy(),
        user_ids=timelines.users["user_id"].to_numpy(),
        surfaces=timelines.manifest.get("surfaces", ()),
        max_candidates=max_candidates,
        reject_unknown_ids=reject_unknown_ids,
    )
    saved_model.save(served, path)
    requests = Requests(timelines, ranker)
    most = min(max_candidates, timelines.num_items)
    warm = [requests.random(1, candidates=min(size, most))[0] for size in saved_model.sizes(max_candidates)]
    warmup.write(path, [_repeated(one, size) for size in warmup_batch_sizes for one in warm])
    number = min(CANDIDATES, most)
    return {**latencies(path, requests.random(_TIMED_REQUESTS, candidates=number)), "candidates": float(number)}


def latencies(folder: Path, requests: Sequence[Request]) -> dict[str, float]:
    """Median and 99th percentile, in milliseconds, of `requests` answered one by one by the model as reloaded."""
    answer = load(folder).signatures["serving_default"]
    ready = [{name: tf.constant(column) for name, column in one.items()} for one in requests]
    for one in ready[:_WARM]:  # the first compiles
        if not np.isfinite(answer(**one)["score"].numpy()).all():
            raise DataError("the ranker's scores are not finite: the model has diverged; train it again")
    milliseconds = []
    for one in ready:
        start = time.perf_counter()
        answer(**one)["order"].numpy()
        milliseconds.append(1e3 * (time.perf_counter() - start))
    return {"p50_ms": float(np.percentile(milliseconds, 50)), "p99_ms": float(np.percentile(milliseconds, 99))}


def _repeated(one: Request, size: int) -> dict[str, Any]:
    return {name: np.repeat(column, size, axis=0) for name, column in one.items()}
