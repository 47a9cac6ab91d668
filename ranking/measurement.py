"""Measures a trained ranker on held-out days, beside other rows: the work of `python -m ranking.evaluate`."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from data.timelines import Timelines
from metrics import binary, intervals
from ranking import evaluation, fusion
from ranking.checkpoint import Ranker, load
from ranking.evaluation import HeldOut, Scored
from ranking.gradient_boosting import fit as fit_gradient_boosting
from ranking.inspection import inspect
from ranking.popularity import Popularity
from ranking.tasks import SATISFACTION, Labels
from runtime.artifact import checksum, write_json
from runtime.errors import DataError, UsageError
from runtime.workdir import METRICS, is_complete, open_workdir

BASELINE = "no_feedback_encoder"  # the row that groups are compared with, as in the paper's section 3.2
_RESERVED = ("lightgbm", "popularity", "fused", "engagement", "platform", "groups")


class Predictor(Protocol):
    """What a row is: tasks by name, and their probabilities [n, K] at event positions [n]."""

    tasks: tuple[str, ...]

    def predict(self, positions: NDArray[np.int64]) -> NDArray[np.float32]:
        """Probabilities [n, K]."""


def run(
    *,
    data: str,
    checkpoint: str,
    compare: Sequence[str],
    workdir: str | None,
    split: str,
    gamma: Sequence[str],
    penalty: float,
    satisfaction_weight: float = 0.0,
    with_lightgbm: bool,
    samples: int = 1000,
) -> None:
    """The whole measurement, from checkpoints and timelines to the files in `workdir`."""
    if not penalty >= 0:
        raise UsageError(f"--penalty={penalty}: at least 0, or skips would be sought")
    if not satisfaction_weight >= 0:
        raise UsageError(f"--satisfaction_weight={satisfaction_weight}: at least 0, or satisfaction would be shunned")
    folders = _parse_compare(compare)
    timelines = Timelines.open(data)
    model = _load(checkpoint, timelines, "--checkpoint")
    if satisfaction_weight and SATISFACTION not in model.tasks:
        raise UsageError(
            f"--satisfaction_weight={satisfaction_weight}: --checkpoint={checkpoint} has no task {SATISFACTION}; train "
            "it with that task and --satisfaction"
        )
    weights = fusion.parse(gamma, model.tasks) if gamma else None
    others = {name: _load(folder, timelines, f"--compare={name}") for name, folder in folders.items()}
    for name, other in others.items():
        if not set(other.tasks) & set(model.tasks):
            raise UsageError(
                f"--compare={name}: predicts {', '.join(other.tasks)}, none of the tasks of --checkpoint "
                f"({', '.join(model.tasks)}); compare models of a common task"
            )
    valid = evaluation.held_out(timelines, "valid", model.tasks, model.labels)
    held = valid if split == "valid" else evaluation.held_out(timelines, split, model.tasks, model.labels)
    identity = {
        "checkpoints": {name: _fingerprint(predictor, held) for name, predictor in {"": model, **others}.items()},
        "timelines": timelines.manifest["files"],
        "split": split,
        "gamma": sorted(gamma),
        "penalty": penalty,
        "satisfaction_weight": satisfaction_weight,
        "lightgbm": with_lightgbm,
    }
    folder = open_workdir(workdir, identity)
    if is_complete(folder):
        print(f"{folder / METRICS}: complete already; delete the workdir to measure again")
        return

    everything = Labels(*model.labels(np.arange(len(timelines.item))))
    rows: dict[str, Predictor] = {"": model, **others}
    if with_lightgbm:
        rows["lightgbm"] = fit_gradient_boosting(timelines, model.tables, model.tasks, everything)
    rows["popularity"] = Popularity(timelines, model.tasks, everything)

    scored: dict[str, Scored] = {}
    trades: list[fusion.Trade] = []
    for name, predictor in rows.items():
        aims = penalty, satisfaction_weight if SATISFACTION in predictor.tasks else 0.0
        scored[name], found = _score(name, predictor, valid, held, weights, *aims)
        trades = trades or found
    metrics, users = compare_rows(scored, held, evaluation.groups(timelines, held), samples=samples)
    per_user: dict[str, Any] = dict(users)
    np.savez_compressed(folder / "per_user.npz", **per_user)
    write_json(folder / "reliability.json", {name or "model": _reliability(row, held) for name, row in scored.items()})
    curves = {
        "run": model.run,
        "penalty": penalty,
        "satisfaction_weight": satisfaction_weight,
        "gamma": {name or "model": dict(zip(row.tasks, row.weights.tolist())) for name, row in scored.items()},
        "trade_off": [_trade(trade, scored[""], held) for trade in trades],
        **(inspect(model, held.positions) if isinstance(model, Ranker) else {}),
    }
    write_json(folder / "curves.json", curves)
    write_json(folder / METRICS, metrics)
    print(table(metrics, list(scored), held.tasks))
    print(f"{len(held.user):,} impressions of {len(held.users):,} users, split {split}: {folder / METRICS}")


def compare_rows(
    scored: Mapping[str, Scored], held: HeldOut, groups: Mapping[str, NDArray[np.bool_]], *, samples: int
) -> tuple[dict[str, float], dict[str, NDArray[Any]]]:
    """metrics.json of all rows, the model's under no name, and the per-user arrays.

    `<row>/<figure>/difference` is the model's figure minus the row's. Figures of groups are the model's, and the
    differences those from BASELINE, where that is a row. `groups/left_out` counts group and task pairs of one class.
    """
    metrics = evaluation.counts(held, scored[""])
    per_user: dict[str, NDArray[Any]] = {}
    own: dict[str, NDArray[np.float64]] = {}
    in_groups: dict[str, NDArray[np.float64]] = {}
    for name, row in scored.items():
        prefix = f"{name}/" if name else ""
        found = evaluation.figures(row, held, samples=samples)
        metrics |= _flat(found, prefix)
        metrics |= _uncalibrated(row, held, prefix)
        users = evaluation.per_user(row, held)
        per_user |= {f"{prefix}{key}": value for key, value in users.items() if prefix == "" or key not in _SHARED}
        if not name:
            own, in_groups = found, evaluation.group_figures(row, held, groups, samples=samples)
            metrics |= _flat(in_groups, "")
            metrics |= {f"{group}/impressions": float(inside.sum()) for group, inside in groups.items()}
            areas = [values[0] for figure, values in in_groups.items() if figure.endswith("/auc")]
            metrics["groups/left_out"] = float(np.isnan(areas).sum())
            continue
        metrics |= _differences(own, found, prefix)
        if name == BASELINE:
            theirs = evaluation.group_figures(row, held, groups, samples=samples)
            metrics |= _flat(theirs, prefix) | _differences(in_groups, theirs, prefix)
    return metrics, per_user


_SHARED = ("user", "impressions")


def _flat(found: Mapping[str, NDArray[np.float64]], prefix: str) -> dict[str, float]:
    return intervals.flat({name: intervals.of_resamples(values) for name, values in found.items()}, prefix)


def _differences(
    own: Mapping[str, NDArray[np.float64]], theirs: Mapping[str, NDArray[np.float64]], prefix: str
) -> dict[str, float]:
    # Undefined in either: left out. Named so that `/low` and `/high` end the name of the difference.
    both = {f"{name}/difference": own[name] - values for name, values in theirs.items() if name in own}
    return _flat(both, prefix)


def _uncalibrated(row: Scored, held: HeldOut, prefix: str) -> dict[str, float]:
    found = {}
    for k, task in enumerate(row.tasks):
        column = held.tasks.index(task)
        where = held.where[:, column]
        if where.any():
            given = row.raw[where, k], held.label[where, column]
            found[f"{prefix}{task}/uncalibrated/ece"] = binary.ece(*given)
            found[f"{prefix}{task}/uncalibrated/logloss"] = binary.logloss(*given)
    return {name: value for name, value in found.items() if np.isfinite(value)}


def _score(
    name: str,
    predictor: Predictor,
    valid: HeldOut,
    held: HeldOut,
    weights: NDArray[np.float64] | None,
    penalty: float,
    satisfaction_weight: float,
) -> tuple[Scored, list[fusion.Trade]]:
    # A row of other tasks than the model's is measured on those that they share, with γ of its own.
    tasks = tuple(task for task in predictor.tasks if task in held.tasks)
    columns = [predictor.tasks.index(task) for task in tasks]
    on_valid = np.asarray(predictor.predict(valid.positions))[:, columns]
    on_held = on_valid if held is valid else np.asarray(predictor.predict(held.positions))[:, columns]
    if not (np.isfinite(on_valid).all() and np.isfinite(on_held).all()):
        raise DataError(f"{name or 'the model'}: a prediction is not finite; it has diverged, train it again")
    given = weights if tasks == held.tasks else None
    return evaluation.score(
        tasks, on_valid, on_held, valid, held, given, penalty, satisfaction_weight=satisfaction_weight
    )


def _trade(trade: fusion.Trade, model: Scored, held: HeldOut) -> dict[str, Any]:
    fused = fusion.fuse(model.probabilities, trade.weights)
    here = fusion.quality_of_lists(fused, held.long_view, held.skip, held.user, num_lists=len(held.users))
    return {
        "penalty": trade.penalty,
        "gamma": dict(zip(model.tasks, trade.weights.tolist())),
        "valid": _finite(trade.quality._asdict()),
        held.split: _finite(here._asdict()),
    }


def _reliability(row: Scored, held: HeldOut) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for k, task in enumerate(row.tasks):
        column = held.tasks.index(task)
        where, label = held.where[:, column], held.positive[:, column]
        found[task] = {
            "calibrator": row.calibrators[k]._asdict(),
            **{
                name: _finite_columns(binary.reliability(values[where, k], label[where]))
                for name, values in (("uncalibrated", row.raw), ("calibrated", row.probabilities))
            },
        }
    return found


def _finite(figures: Mapping[str, float]) -> dict[str, float]:
    return {name: float(value) for name, value in figures.items() if np.isfinite(value)}


def _finite_columns(found: binary.Reliability) -> dict[str, list[float]]:
    filled = found.examples > 0
    return {name: column[filled].tolist() for name, column in found._asdict().items()}


def _load(path: str, timelines: Timelines, flag: str) -> Ranker:
    try:
        ranker = load(path, timelines)
    except UsageError as error:
        raise UsageError(str(error).replace("--checkpoint", flag, 1)) from None
    if "valid" in ranker.config.train_on:
        raise UsageError(
            f"{flag}={path}: has learned from the validation days, on which its probabilities are calibrated; "
            "give a model of --config.train_on=('train',)"
        )
    return ranker


def _fingerprint(predictor: Predictor, held: HeldOut) -> str:
    return checksum(predictor.predict(held.positions[:256]).tobytes())


def _parse_compare(entries: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in entries:
        name, _, folder = entry.partition("=")
        if not name or not folder or "/" in name:
            raise UsageError(f"--compare={entry}: written NAME=DIR, like mlp=runs/mlp")
        if name in found or name in _RESERVED:
            raise UsageError(f"--compare={entry}: the name {name} is taken; choose another")
        found[name] = folder
    return found


def table(metrics: Mapping[str, float], rows: Sequence[str], tasks: Sequence[str]) -> str:
    """Rows down, AUC / GAUC of each task and the fused list across; a dash where nothing was measured."""
    headings = [*(f"{task} AUC/GAUC" for task in tasks), "NDCG@10", "skip@10"]
    lines = [" " * 22 + "".join(f"{heading:>20}" for heading in headings)]
    for row in rows:
        prefix = f"{row}/" if row else ""
        cells = [f"{_number(metrics, f'{prefix}{t}/auc')} {_number(metrics, f'{prefix}{t}/gauc')}" for t in tasks]
        cells += [_number(metrics, f"{prefix}{name}") for name in evaluation.FUSED]
        lines.append(f"{row or 'model':<22}" + "".join(f"{cell:>20}" for cell in cells))
    return "\n".join(lines)


def _number(metrics: Mapping[str, float], name: str) -> str:
    return f"{metrics[name]:.4f}" if name in metrics else "-"
