"""Measures a trained model on held-out days, beside the baselines: the work of `python -m retrieval.evaluate`."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from data.feedback import BITS
from data.timelines import Timelines
from retrieval import full_corpus
from retrieval.checkpoint import load
from runtime.artifact import checksum, write_json
from runtime.errors import UsageError
from runtime.workdir import METRICS, is_complete, open_workdir

_SHOWN = ("recall@10", "recall@50", "recall@100", "ndcg@10", "mrr", "skip@100", "dislike@100", "coverage@100")


def run(
    *, positive: Sequence[str], data: str, checkpoint: str, workdir: str | None, split: str, with_baselines: bool
) -> None:
    """The whole measurement, from a checkpoint and timelines to the files in `workdir`."""
    if not set(positive) <= BITS.keys():
        raise UsageError(f"--config.positive={tuple(positive)}: only {', '.join(BITS)}")
    timelines = Timelines.open(data)
    positive = tuple(positive) or timelines.positive_feedback
    retriever = load(checkpoint, timelines)
    vectors = retriever.item_vectors()
    identity = {
        "checkpoint": checksum(vectors.tobytes()),
        "timelines": timelines.manifest["files"],
        "positive": sorted(positive),
        "split": split,
        "baselines": with_baselines,
    }
    folder = open_workdir(workdir, identity)
    if is_complete(folder):
        print(f"{folder / METRICS}: complete already; delete the workdir to measure again")
        return

    scorers: dict[str, full_corpus.ScoreFn] = {
        "model": full_corpus.model_scorer(retriever.encode, vectors, timelines, split=split, reading=retriever.reading)
    }
    if with_baselines:
        scorers |= full_corpus.baseline_scorers(timelines, split=split, positive=positive)
    measured = {
        name: full_corpus.evaluate(scorer, timelines, split=split, positive=positive, label=name)
        for name, scorer in scorers.items()
    }
    model = measured.pop("model")
    metrics = dict(model.metrics)
    for name, baseline in measured.items():
        metrics |= {f"{name}/{metric}": value for metric, value in baseline.metrics.items()}
    per_user: dict[str, Any] = dict(model.per_user)
    np.savez_compressed(folder / "per_user.npz", **per_user)
    write_json(folder / METRICS, metrics)
    print(table({"model": model.metrics, **{name: baseline.metrics for name, baseline in measured.items()}}))
    print(
        f"{metrics['targets']:,.0f} positive, {metrics['skips']:,.0f} skipped and {metrics['dislikes']:,.0f} disliked "
        f"items of {metrics['users']:,.0f} users, split {split}: {folder / METRICS}"
    )


def table(rows: Mapping[str, Mapping[str, float]]) -> str:
    """Scorers down, metrics across, half the interval's width after ±; a dash where nothing was measured."""
    lines = [" " * 20 + "".join(f"{name:>14}" for name in _SHOWN)]
    for label, metrics in rows.items():
        cells = (
            f"{metrics[name]:.3f} ±{(metrics[f'{name}/high'] - metrics[f'{name}/low']) / 2:.3f}"
            if name in metrics
            else "-"
            for name in _SHOWN
        )
        lines.append(f"{label:<20}" + "".join(f"{cell:>14}" for cell in cells))
    return "\n".join(lines)
