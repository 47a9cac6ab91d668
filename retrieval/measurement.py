"""Measures a trained model on held-out days, beside the baselines: the work of `python -m retrieval.evaluate`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from data.timelines import Timelines
from metrics.intervals import Interval, flat
from retrieval import full_corpus, simple_rules
from retrieval.checkpoint import Retriever, load
from retrieval.counted import files
from retrieval.queries import ScoreFn, asked, positives
from runtime import table as text_table
from runtime.artifact import MANIFEST, checksum, digest, write_json
from runtime.workdir import CONFIG, METRICS, MODEL, begin

_SHOWN = (
    "recall@10",
    "recall@50",
    "recall@100",
    "recall@100/said_no",
    "ndcg@10",
    "mrr",
    "skip@100",
    "dislike@100",
    "delta_hr@10",
    "coverage@100",
)


def run(
    *,
    positive: Sequence[str],
    data: str,
    checkpoint: str,
    workdir: str | None,
    split: str,
    with_baselines: bool,
    users: int,
    events: int,
) -> None:
    """The whole measurement, from a checkpoint and timelines to the files in `workdir`."""
    timelines = Timelines.open(data)
    positive = positives(positive, timelines)
    retriever = load(checkpoint, timelines, until=split)
    vectors = retriever.item_vectors()
    identity = {
        "checkpoint": _of_model(retriever, Path(checkpoint)),
        "timelines": timelines.manifest["files"],
        "positive": sorted(positive),
        "split": split,
        "baselines": with_baselines,
        "users": users,
        "events": events,
    }
    folder, complete = begin(workdir, identity)
    if complete:
        return

    # For a gate, as an export says what it was made of; no part of what is measured: the same run again has another.
    if (trained := Path(checkpoint) / METRICS).is_file():
        write_json(folder / MODEL, {"checkpoint": digest(trained)})
    queries = asked(timelines, split=split, positive=positive, users=users, events=events)
    model_score = full_corpus.ModelScorer(retriever.encode, vectors, timelines, reading=retriever.reading)
    scorers: dict[str, Mapping[str, ScoreFn]] = {"model": dict.fromkeys(queries, model_score)}
    if with_baselines:
        scorers |= simple_rules.tuned(timelines, tuple(queries), split=split, positive=positive)
    measured = {name: full_corpus.evaluate(of, queries, timelines, label=name) for name, of in scorers.items()}
    model = measured.pop("model")
    ahead = {prefix: _ahead(model, measured, prefix) for prefix in queries}
    metrics = dict(model.metrics)
    for changes in ahead.values():
        metrics |= flat({name: change for name, (_, change) in changes.items()}, "ahead/")
    for name, baseline in measured.items():
        metrics |= {f"{name}/{metric}": value for metric, value in baseline.metrics.items()}
    per_user: dict[str, Any] = dict(model.per_user)
    np.savez_compressed(folder / "per_user.npz", **per_user)
    write_json(folder / METRICS, metrics)
    rows = {"model": model.metrics, **{name: baseline.metrics for name, baseline in measured.items()}}
    for prefix in queries:
        print(table(rows, prefix))
        for name, (rule, change) in ahead[prefix].items():
            label = name.removeprefix(prefix)
            print(f"  {label} against {rule}: {change.value:+.1%} [{change.low:+.1%}, {change.high:+.1%}]")
    drawn = f", drawn from {metrics['users/drawn_from']:,.0f}" if "users/drawn_from" in metrics else ""
    later = metrics.get("targets/uploaded_later", 0)
    left_out = f"; {later:,.0f} more are of items uploaded later, and left out" if later else ""
    print(
        f"{metrics['targets']:,.0f} positive, {metrics['skips']:,.0f} skipped and {metrics['dislikes']:,.0f} disliked "
        f"items of {metrics['users']:,.0f} users{drawn}, split {split}{left_out}: {folder / METRICS}"
    )


def _ahead(
    model: full_corpus.Evaluation, rules: Mapping[str, full_corpus.Evaluation], prefix: str
) -> dict[str, tuple[str, Interval]]:
    # The best rule by each Recall@k, and how much more than it the model finds, paired over users.
    changes = {}
    for name in (prefix + f"recall@{k}" for k in (10, 50, 100)):
        found = {rule: of.metrics[name] for rule, of in rules.items() if name in of.metrics}
        if not found:
            continue
        best = max(found, key=lambda rule: found[rule])
        before, after = ({key: of.per_user[key] for key in ("user", name)} for of in (rules[best], model))
        if change := full_corpus.compare(before, after).get(name):
            changes[name] = best, change
    return changes


def _of_model(retriever: Retriever, folder: Path) -> list[str]:
    # What its scores follow from: arrays, config, and how much each part weighs. Not what a training has measured,
    # which is another each time.
    arrays = [checksum(np.asarray(array).tobytes()) for _, array in sorted(retriever.weights.items())]
    manifests = (folder / CONFIG, folder / files.FOLDER / MANIFEST)
    return [checksum("".join(arrays).encode()), *(digest(path) for path in manifests if path.is_file())]


def table(rows: Mapping[str, Mapping[str, float]], prefix: str = "") -> str:
    """Scorers down, metrics across, half the interval's width after ±; a dash where nothing was measured."""
    shown = [prefix + name for name in _SHOWN if any(prefix + name in metrics for metrics in rows.values())]
    cells = {
        label: [
            f"{metrics[name]:.3f} ±{(metrics[f'{name}/high'] - metrics[f'{name}/low']) / 2:.3f}"
            if name in metrics
            else "-"
            for name in shown
        ]
        for label, metrics in rows.items()
    }
    return text_table.text(prefix.strip("/") or "next_days", [name.removeprefix(prefix) for name in shown], cells)
