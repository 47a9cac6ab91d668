"""Writes the exported ranker: the folder that servers serve, and that whoever stays in JAX reads.

manifest.json         tasks, gamma, calibration, history_feedback, length T, num_items N, vocabulary hash, surfaces,
                      feedback bits and dwell edges, inputs: the arguments of ranker.jax in order, lineage
ranker.jax            arrays as ranking/inputs.py describes, b users with c candidates -> probabilities [b, c, K]
rates.npy             float32 [N + 1, R]: those of every item when the log ended; row 0 is padding
thresholds.npy        float32 [N + 1, 6]: the watch time above which a play of an item is EVV, FVV, watched by a
                      quarter, by half, by three quarters, whole, in ms; infinite where that is unknown
item_table.parquet    index, item_id; row 0 is padding
user_table.parquet    index from 1, user_id
saved_model/          what servers need: saved_model.py says what it takes and gives
"""

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data import feedback
from data.timelines import Timelines
from nn import exported
from ranking import checkpoint
from ranking.checkpoint import Ranker
from ranking.export import scorer as scoring
from ranking.export.gamma_and_calibration import Choice, choose
from runtime import artifact
from runtime.errors import DataError, UsageError
from runtime.exporting import export_once
from runtime.formats import RANKER
from runtime.progress import progress

FOLDER = "ranker"
CANDIDATES, TIMED_REQUESTS = 500, 200  # of what the milliseconds are measured on


@dataclasses.dataclass(frozen=True)
class Options:
    """Of the SavedModel: the most candidates of a request, the batch sizes that are compiled before the first user
    comes, and whether unknown items and repeated candidates are refused instead of ignored."""

    max_candidates: int = 1000
    warmup_batch_sizes: Sequence[int] = (1, 2, 4, 8, 16, 32, 64)
    reject_unknown_ids: bool = False


def export(
    options: Options,
    *,
    data: str,
    trained: str,
    workdir: str | None,
    gamma: Sequence[str] = (),
    evaluation: str | None = None,
    with_serving: bool = True,
) -> str:
    """Exports the model of the training run in `trained` into `workdir`; returns the line that says where it is.

    Args: data, the folder of the timelines; gamma, entries like `GVV=-1`; evaluation, a workdir of ranking.evaluate.
    Errors: UsageError names the flag at fault; DataError as `write`.
    """
    _check(options)
    timelines = Timelines.open(data)
    ranker = checkpoint.load(trained, timelines)
    choice = choose(gamma, evaluation, ranker)
    lineage = {
        "timelines": artifact.digest(timelines.path / artifact.MANIFEST),
        "checkpoint": ranker.run,
        "config": ranker.config.to_dict(),
    }
    identity = {
        "export": dataclasses.asdict(options),
        "serving": with_serving,
        "gamma": choice.weights.tolist(),
        "calibration": [calibrator._asdict() for calibrator in choice.calibrators],
        "lineage": lineage,
    }
    return export_once(
        workdir,
        identity,
        name=FOLDER,
        **RANKER._asdict(),
        write=partial(
            write,
            ranker=ranker,
            timelines=timelines,
            choice=choice,
            options=options,
            lineage=lineage,
            with_serving=with_serving,
        ),
    )


def write(
    path: Path,
    *,
    ranker: Ranker,
    timelines: Timelines,
    choice: Choice,
    options: Options,
    lineage: dict[str, Any],
    with_serving: bool = True,
) -> dict[str, float]:
    """Writes the artifact at `path`, whole or not at all, and returns its metrics.

    Args:
      choice: γ and calibrators.
      with_serving: also write the SavedModel, which takes TensorFlow.
    Errors: DataError where the model's scores are not finite, or an id stands for padding in requests.
    """
    fields = {
        "tasks": ranker.tasks,
        "gamma": dict(zip(ranker.tasks, choice.weights.tolist(), strict=True)),
        "calibration": {t: c._asdict() for t, c in zip(ranker.tasks, choice.calibrators, strict=True)},
        "history_feedback": ranker.statistics.manifest["history_feedback"],
        "length": ranker.config.length,
        "num_items": timelines.num_items,
        "vocabulary_hash": timelines.manifest["vocabulary_hash"],
        "surfaces": timelines.manifest.get("surfaces", ()),
        "feedback_bits": feedback.BITS,
        "dwell_edges_ms": feedback.DWELL_EDGES_MS,
        "inputs": scoring.INPUTS,
        "lineage": lineage,
    }
    rates = ranker.impressions.rates(np.arange(timelines.num_items + 1))  # [N + 1, R]
    shapes = scoring.shapes(length=ranker.config.length, num_rates=rates.shape[1])
    metrics: dict[str, float] = {}
    bar = progress(label="export", total=3 if with_serving else 2, unit="step")
    with bar, artifact.writing(path, **RANKER._asdict(), fields=fields) as folder:
        np.save(folder / "rates.npy", rates)
        np.save(folder / "thresholds.npy", ranker.statistics.thresholds)
        timelines.items.select("item_id").with_row_index("index").write_parquet(folder / "item_table.parquet")
        users = timelines.users.select("user_id").with_row_index("index", offset=1)
        users.write_parquet(folder / "user_table.parquet")
        bar.update()
        scorer = scoring.scorer(ranker.model, choice.calibrators)
        (folder / "ranker.jax").write_bytes(exported.serialized(scorer, *shapes))
        bar.update()
        if with_serving:
            metrics = _write_saved_model(folder / "saved_model", ranker, timelines, rates, choice, options)
            bar.update()
    return metrics


def _write_saved_model(
    path: Path, ranker: Ranker, timelines: Timelines, rates: NDArray[np.float32], choice: Choice, options: Options
) -> dict[str, float]:
    # With its warm-up requests. Returns the milliseconds in which it ranks up to CANDIDATES items for one user.
    from nn import latency, warmup  # loads TensorFlow
    from nn.tensorflow_graph import XlaFunction, save
    from ranking.export import saved_model
    from ranking.export.requests import Requests

    served = saved_model.ServedRanker(
        XlaFunction(
            scoring.scorer(ranker.model, choice.calibrators),
            *scoring.shapes(length=ranker.config.length, num_rates=rates.shape[1]),
        ),
        length=ranker.config.length,
        tasks=ranker.tasks,
        weights=choice.weights,
        history_feedback=ranker.statistics.manifest["history_feedback"],
        thresholds=ranker.statistics.thresholds,
        rates=rates,
        item_ids=timelines.items["item_id"][1:].to_numpy(),
        user_ids=timelines.users["user_id"].to_numpy(),
        surfaces=timelines.manifest.get("surfaces", ()),
        max_candidates=options.max_candidates,
        reject_unknown_ids=options.reject_unknown_ids,
    )
    save(served, served.signature(), path)
    requests = Requests(timelines, ranker)
    most = min(options.max_candidates, timelines.num_items)
    of_each_size = [
        requests.random(1, candidates=min(size, most))[0] for size in saved_model.sizes(options.max_candidates)
    ]
    warmup.write(path, [warmup.repeated(one, size) for size in options.warmup_batch_sizes for one in of_each_size])
    number = min(CANDIDATES, most)
    times = latency.milliseconds(path, requests.random(TIMED_REQUESTS, candidates=number), check=_check_finite)
    return {**latency.percentiles(times), "candidates": float(number)}


def _check_finite(answer: Mapping[str, Any]) -> None:
    if not np.isfinite(answer["score"].numpy()).all():
        raise DataError("the ranker's scores are not finite: the model has diverged; train it again")


def _check(options: Options) -> None:
    if options.max_candidates < 1:
        raise UsageError(f"--max_candidates={options.max_candidates}: at least 1")
    if any(size < 1 for size in options.warmup_batch_sizes):
        raise UsageError(f"--warmup_batch_sizes={options.warmup_batch_sizes}: each at least 1")
