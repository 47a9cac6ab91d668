"""Compares a trained ranker with other rows on held-out days: the work of `python -m ranking.evaluate`.

A row is the ranker itself, another ranker, LightGBM, popularity, or on a synthetic feed the ceiling; of several seeds
its figures are means over them.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.timelines import Timelines
from metrics import binary, intervals
from ranking import figures, fusion
from ranking.baselines.gradient_boosting import fit as fit_gradient_boosting
from ranking.baselines.popularity import popularity
from ranking.baselines.truth import read_truth
from ranking.checkpoint import Ranker, load_row
from ranking.held_out import HeldOut, groups, held_out
from ranking.model.inspection import inspect
from ranking.predictions import Floats, Predictions, Predictor, calibrated_and_fused
from ranking.tasks import SATISFACTION, Labels
from runtime import paths, table
from runtime.artifact import MANIFEST, checksum, digest, write_json
from runtime.errors import DataError, UsageError
from runtime.workdir import METRICS, begin

BASELINE = "no_feedback_encoder"  # the row that groups are compared with, as in the paper's section 3.2
CEILING = "ceiling"
_MAIN = "model"  # what the row of --checkpoint, whose metrics have no prefix, is called elsewhere
_RESERVED = (_MAIN, "lightgbm", "popularity", CEILING, "fused", "engagement", "platform", "groups")


def run(
    *,
    data: str,
    checkpoint: Sequence[str],
    compare: Sequence[str],
    workdir: str | None,
    split: str,
    gamma: Sequence[str],
    penalty: float,
    satisfaction_weight: float = 0.0,
    with_lightgbm: bool,
    truth: str = "",
    samples: int = 1000,
) -> None:
    """The whole measurement, from checkpoints and timelines to the files in `workdir`.

    Args: checkpoint, and the entries of one name in `compare`: trainings of one config with a seed each.
    """
    if not penalty >= 0:
        raise UsageError(f"--penalty={penalty}: at least 0, or skips would be sought")
    if not satisfaction_weight >= 0:
        raise UsageError(f"--satisfaction_weight={satisfaction_weight}: at least 0, or satisfaction would be shunned")
    folders: dict[str, list[str]] = {}
    for name, trained in paths.named(compare, flag="--compare", writer="ranking.train", reserved=_RESERVED):
        folders.setdefault(name, []).append(trained)
    timelines = Timelines.open(data)
    models = load_row(checkpoint, timelines, "--checkpoint")
    model = models[0]
    if satisfaction_weight and SATISFACTION not in model.tasks:
        raise UsageError(
            f"--satisfaction_weight={satisfaction_weight}: --checkpoint={checkpoint[0]} has no task {SATISFACTION}; "
            "train it with that task and --satisfaction"
        )
    weights = fusion.parse(gamma, model.tasks) if gamma else None
    others = {name: load_row(runs, timelines, f"--compare={name}") for name, runs in folders.items()}
    for name, (other, *_) in others.items():
        if not set(other.tasks) & set(model.tasks):
            raise UsageError(
                f"--compare={name}: predicts {', '.join(other.tasks)}, none of the tasks of --checkpoint "
                f"({', '.join(model.tasks)}); compare models of a common task"
            )
        if SATISFACTION in {*other.tasks} & {*model.tasks} and not other.has_scores_of(model):
            raise UsageError(
                f"--compare={name}: has learned {SATISFACTION} from other scores than --checkpoint, and both are "
                "measured on one; train both with the same --satisfaction"
            )
    ceiling = read_truth(truth, timelines, model.tasks) if truth else None
    valid = held_out(timelines, "valid", model.tasks, model.labels)
    days = valid if split == "valid" else held_out(timelines, split, model.tasks, model.labels)
    rows: dict[str, Sequence[Predictor]] = {"": models, **others}
    identity = {
        "checkpoints": {name: [_fingerprint(one, days) for one in row] for name, row in rows.items()},
        "timelines": timelines.manifest["files"],
        "split": split,
        "gamma": sorted(gamma),
        "penalty": penalty,
        "satisfaction_weight": satisfaction_weight,
        "lightgbm": with_lightgbm,
        "truth": digest(Path(truth) / MANIFEST) if truth else None,
    }
    folder, complete = begin(workdir, identity)
    if complete:
        return

    everything = Labels(*model.labels(np.arange(len(timelines.item))))
    if with_lightgbm:
        rows["lightgbm"] = [
            fit_gradient_boosting(timelines, model.statistics, model.tasks, everything, seed=seed)
            for seed in range(len(models))
        ]
    rows["popularity"] = [popularity(timelines, model.tasks, everything)]
    if ceiling:
        rows[CEILING] = [ceiling]

    predictions: dict[str, list[Predictions]] = {}
    trades: list[fusion.Trade] = []
    for name, row in rows.items():
        # A row of other tasks than the model's is measured on those that they share, with a γ of its own.
        tasks = tuple(task for task in row[0].tasks if task in model.tasks)
        given = weights if tasks == model.tasks else None
        aims = penalty, satisfaction_weight if SATISFACTION in tasks else 0.0
        each = [_predict(name, one, valid.of_tasks(tasks), days.of_tasks(tasks), given, *aims) for one in row]
        predictions[name] = [of_seed for of_seed, _ in each]
        trades = trades or each[0][1]
    metrics, per_user = compare_rows(predictions, groups(timelines, days), samples=samples)
    np.savez_compressed(folder / "per_user.npz", **per_user)
    firsts = {name or _MAIN: of_seeds[0] for name, of_seeds in predictions.items()}
    write_json(folder / "reliability.json", {name: _reliability(first) for name, first in firsts.items()})
    curves = {
        "run": model.run,
        "penalty": penalty,
        "satisfaction_weight": satisfaction_weight,
        "gamma": {name: dict(zip(first.days.tasks, first.weights.tolist())) for name, first in firsts.items()},
        "trade_off": [_trade(trade, firsts[_MAIN]) for trade in trades],
        **(inspect(model, days.positions) if isinstance(model, Ranker) else {}),
    }
    write_json(folder / "curves.json", curves)
    write_json(folder / METRICS, metrics)
    print(summary(metrics, list(rows), days.tasks))
    measured = f"{len(days.user):,} impressions of {len(days.users):,} users, split {split}, {len(models)} seed(s)"
    print(f"{measured}: {folder / METRICS}")


def compare_rows(
    rows: Mapping[str, Sequence[Predictions]], groups: Mapping[str, NDArray[np.bool_]], *, samples: int
) -> tuple[dict[str, float], dict[str, Any]]:
    """metrics.json of all rows, the model's under no name, and the per-user arrays, means over the seeds of each row.

    `<row>/<figure>/difference` is the model's figure minus the row's, over users and seeds. Figures of groups are the
    model's, and the differences those from BASELINE, where that is a row. `groups/left_out` counts group and task pairs
    of one class.
    """
    days = rows[""][0].days
    metrics = figures.counts(rows[""][0])
    users: dict[str, Any] = {"user": days.users, "impressions": np.bincount(days.user, minlength=len(days.users))}
    of_model: dict[str, Floats] = {}
    for number, (name, seeds) in enumerate(rows.items()):
        prefix = f"{name}/" if name else ""
        each = [figures.figures(one, samples=samples) for one in seeds]
        of_row = _over_seeds(each, number)
        if name in ("", BASELINE):
            of_groups = [figures.group_figures(one, groups, samples=samples) for one in seeds]
            of_row |= _over_seeds(of_groups, number)
        uncalibrated = [figures.uncalibrated(one) for one in seeds]
        per_user = [figures.per_user(one) for one in seeds]
        metrics |= {f"{prefix}seeds": float(len(seeds)), **_flat(of_row, prefix), **_spread(each, prefix)}
        metrics |= {f"{prefix}{key}": float(np.mean([one[key] for one in uncalibrated])) for key in uncalibrated[0]}
        users |= {f"{prefix}{key}": np.mean([one[key] for one in per_user], axis=0) for key in per_user[0]}
        if name:
            # Undefined in either: left out. Named so that `/low` and `/high` end the name of the difference.
            both = of_row.keys() & of_model.keys()
            metrics |= _flat({f"{figure}/difference": of_model[figure] - of_row[figure] for figure in both}, prefix)
        else:
            of_model = of_row
            areas = [values[0] for figure, values in _over_seeds(of_groups, number).items() if figure.endswith("/auc")]
            metrics |= {f"{group}/impressions": float(inside.sum()) for group, inside in groups.items()}
            metrics["groups/left_out"] = float(np.isnan(areas).sum())
    return metrics, users


def _over_seeds(each: Sequence[Mapping[str, Floats]], row: int) -> dict[str, Floats]:
    return {name: intervals.over_seeds([one[name] for one in each], row=row) for name in each[0]}


def _spread(each: Sequence[Mapping[str, Floats]], prefix: str) -> dict[str, float]:
    # How far the seeds of a row lie apart, in every figure that each of them has.
    if len(each) < 2:
        return {}
    spread = {name: float(np.std([one[name][0] for one in each], ddof=1)) for name in each[0]}
    return {f"{prefix}{name}/seeds_std": value for name, value in spread.items() if np.isfinite(value)}


def _flat(resampled: Mapping[str, Floats], prefix: str) -> dict[str, float]:
    return intervals.flat({name: intervals.of_resamples(values) for name, values in resampled.items()}, prefix)


def _predict(
    name: str,
    predictor: Predictor,
    valid: HeldOut,
    days: HeldOut,
    weights: Floats | None,
    penalty: float,
    satisfaction_weight: float,
) -> tuple[Predictions, list[fusion.Trade]]:
    columns = [predictor.tasks.index(task) for task in days.tasks]
    on_valid = np.asarray(predictor.predict(valid.positions))[:, columns]
    on_days = on_valid if days.split == valid.split else np.asarray(predictor.predict(days.positions))[:, columns]
    if not (np.isfinite(on_valid).all() and np.isfinite(on_days).all()):
        raise DataError(f"{name or 'the model'}: a prediction is not finite; it has diverged, train it again")
    return calibrated_and_fused(
        on_valid, on_days, valid, days, weights, penalty, satisfaction_weight=satisfaction_weight
    )


def _trade(trade: fusion.Trade, model: Predictions) -> dict[str, Any]:
    days, fused = model.days, fusion.fuse(model.probabilities, trade.weights)
    here = fusion.quality_of_lists(fused, days.lists)
    qualities = {"valid": trade.quality, days.split: here}
    return {
        "penalty": trade.penalty,
        "gamma": dict(zip(days.tasks, trade.weights.tolist())),
        **{
            split: {name: float(value) for name, value in quality._asdict().items() if np.isfinite(value)}
            for split, quality in qualities.items()
        },
    }


def _reliability(row: Predictions) -> dict[str, Any]:
    diagrams: dict[str, Any] = {}
    days = row.days
    for k, task in enumerate(days.tasks):
        where = days.where[:, k]
        diagrams[task] = {"calibrator": row.calibrators[k]._asdict()}
        for name, values in (("uncalibrated", row.raw), ("calibrated", row.probabilities)):
            bins = binary.reliability(values[where, k], days.positive[where, k])
            filled = bins.examples > 0
            diagrams[task][name] = {column: heights[filled].tolist() for column, heights in bins._asdict().items()}
    return diagrams


def _fingerprint(predictor: Predictor, days: HeldOut) -> str:
    return checksum(predictor.predict(days.positions[:256]).tobytes())


def summary(metrics: Mapping[str, float], rows: Sequence[str], tasks: Sequence[str]) -> str:
    """Rows down, AUC / GAUC of each task and the fused list across; a dash where nothing was measured."""

    def cell(*names: str) -> str:
        return " ".join(f"{metrics[name]:.4f}" if name in metrics else "-" for name in names)

    prefixes = {row or _MAIN: f"{row}/" if row else "" for row in rows}
    cells = {
        row: [
            *(cell(f"{prefix}{task}/auc", f"{prefix}{task}/gauc") for task in tasks),
            *(cell(f"{prefix}{name}") for name in figures.FUSED),
        ]
        for row, prefix in prefixes.items()
    }
    return table.text("", [*(f"{task} AUC/GAUC" for task in tasks), "NDCG@10", "skip@10"], cells)
