"""Measures a trained ranker on held-out days, beside other rows: the work of `python -m ranking.evaluate`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from data.timelines import Timelines
from metrics import binary, intervals
from ranking import fusion, task_metrics
from ranking.baselines.gradient_boosting import fit as fit_gradient_boosting
from ranking.baselines.popularity import Popularity
from ranking.baselines.truth import read_truth
from ranking.checkpoint import Ranker, load
from ranking.model.inspection import inspect
from ranking.task_metrics import HeldOut, Scored
from ranking.tasks import SATISFACTION, Labels
from runtime.artifact import MANIFEST, checksum, digest, write_json
from runtime.errors import DataError, UsageError
from runtime.workdir import METRICS, is_complete, open_workdir

BASELINE = "no_feedback_encoder"  # the row that groups are compared with, as in the paper's section 3.2
CEILING = "ceiling"
_RESERVED = ("lightgbm", "popularity", CEILING, "fused", "engagement", "platform", "groups")


class Predictor(Protocol):
    """What a row is: tasks by name, and their probabilities [n, K] at event positions [n]."""

    tasks: tuple[str, ...]

    def predict(self, positions: NDArray[np.int64]) -> NDArray[np.float32]:
        """Probabilities [n, K]."""


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
    folders = _parse_compare(compare)
    timelines = Timelines.open(data)
    models = _load(checkpoint, timelines, "--checkpoint")
    model = models[0]
    if satisfaction_weight and SATISFACTION not in model.tasks:
        raise UsageError(
            f"--satisfaction_weight={satisfaction_weight}: --checkpoint={checkpoint[0]} has no task {SATISFACTION}; "
            "train it with that task and --satisfaction"
        )
    weights = fusion.parse(gamma, model.tasks) if gamma else None
    others = {name: _load(runs, timelines, f"--compare={name}") for name, runs in folders.items()}
    for name, (other, *_) in others.items():
        if not set(other.tasks) & set(model.tasks):
            raise UsageError(
                f"--compare={name}: predicts {', '.join(other.tasks)}, none of the tasks of --checkpoint "
                f"({', '.join(model.tasks)}); compare models of a common task"
            )
    ceiling = read_truth(truth, timelines, model.tasks) if truth else None
    valid = task_metrics.held_out(timelines, "valid", model.tasks, model.labels)
    held = valid if split == "valid" else task_metrics.held_out(timelines, split, model.tasks, model.labels)
    identity = {
        "checkpoints": {n: [_fingerprint(one, held) for one in row] for n, row in {"": models, **others}.items()},
        "timelines": timelines.manifest["files"],
        "split": split,
        "gamma": sorted(gamma),
        "penalty": penalty,
        "satisfaction_weight": satisfaction_weight,
        "lightgbm": with_lightgbm,
        "truth": digest(Path(truth) / MANIFEST) if truth else None,
    }
    folder = open_workdir(workdir, identity)
    if is_complete(folder):
        print(f"{folder / METRICS}: complete already; delete the workdir to measure again")
        return

    everything = Labels(*model.labels(np.arange(len(timelines.item))))
    rows: dict[str, Sequence[Predictor]] = {"": models, **others}
    if with_lightgbm:
        rows["lightgbm"] = [
            fit_gradient_boosting(timelines, model.tables, model.tasks, everything, seed=seed)
            for seed in range(len(models))
        ]
    rows["popularity"] = [Popularity(timelines, model.tasks, everything)]
    if ceiling:
        rows[CEILING] = [ceiling]

    scored: dict[str, list[Scored]] = {}
    trades: list[fusion.Trade] = []
    for name, predictors in rows.items():
        aims = penalty, satisfaction_weight if SATISFACTION in predictors[0].tasks else 0.0
        found = [_score(name, predictor, valid, held, weights, *aims) for predictor in predictors]
        scored[name] = [of_seed for of_seed, _ in found]
        trades = trades or found[0][1]
    metrics, users = compare_rows(scored, held, task_metrics.groups(timelines, held), samples=samples)
    per_user: dict[str, Any] = dict(users)
    np.savez_compressed(folder / "per_user.npz", **per_user)
    firsts = {name or "model": of_seeds[0] for name, of_seeds in scored.items()}
    write_json(folder / "reliability.json", {name: _reliability(row, held) for name, row in firsts.items()})
    curves = {
        "run": model.run,
        "penalty": penalty,
        "satisfaction_weight": satisfaction_weight,
        "gamma": {name: dict(zip(row.tasks, row.weights.tolist())) for name, row in firsts.items()},
        "trade_off": [_trade(trade, firsts["model"], held) for trade in trades],
        **(inspect(model, held.positions) if isinstance(model, Ranker) else {}),
    }
    write_json(folder / "curves.json", curves)
    write_json(folder / METRICS, metrics)
    print(table(metrics, list(scored), held.tasks))
    of = f"{len(held.user):,} impressions of {len(held.users):,} users, split {split}, {len(models)} seed(s)"
    print(f"{of}: {folder / METRICS}")


def compare_rows(
    scored: Mapping[str, Sequence[Scored]], held: HeldOut, groups: Mapping[str, NDArray[np.bool_]], *, samples: int
) -> tuple[dict[str, float], dict[str, NDArray[Any]]]:
    """metrics.json of all rows, the model's under no name, and the per-user arrays, means over the seeds of each row.

    `<row>/<figure>/difference` is the model's figure minus the row's, over users and seeds. Figures of groups are the
    model's, and the differences those from BASELINE, where that is a row. `groups/left_out` counts group and task pairs
    of one class.
    """
    metrics = task_metrics.counts(held, scored[""][0])
    per_user: dict[str, NDArray[Any]] = {}
    own: dict[str, NDArray[np.float64]] = {}
    in_groups: dict[str, NDArray[np.float64]] = {}
    for number, (name, row) in enumerate(scored.items()):
        prefix = f"{name}/" if name else ""

        def of_groups(row: Sequence[Scored] = row, number: int = number) -> dict[str, NDArray[np.float64]]:
            each = [task_metrics.group_figures(one, held, groups, samples=samples) for one in row]
            return _over_seeds(each, row=number)

        each = [task_metrics.figures(one, held, samples=samples) for one in row]
        found = _over_seeds(each, row=number)
        metrics |= {f"{prefix}seeds": float(len(row)), **_flat(found, prefix), **_spread(each, prefix)}
        metrics |= _means([_uncalibrated(one, held, prefix) for one in row])
        users = [task_metrics.per_user(one, held) for one in row]
        per_user |= {
            f"{prefix}{key}": np.mean([one[key] for one in users], axis=0) if key not in _SHARED else users[0][key]
            for key in users[0]
            if prefix == "" or key not in _SHARED
        }
        if not name:
            own, in_groups = found, of_groups()
            metrics |= _flat(in_groups, "")
            metrics |= {f"{group}/impressions": float(inside.sum()) for group, inside in groups.items()}
            areas = [values[0] for figure, values in in_groups.items() if figure.endswith("/auc")]
            metrics["groups/left_out"] = float(np.isnan(areas).sum())
            continue
        metrics |= _differences(own, found, prefix)
        if name == BASELINE:
            theirs = of_groups()
            metrics |= _flat(theirs, prefix) | _differences(in_groups, theirs, prefix)
    return metrics, per_user


_SHARED = ("user", "impressions")


def _over_seeds(each: Sequence[Mapping[str, NDArray[np.float64]]], *, row: int) -> dict[str, NDArray[np.float64]]:
    return {name: intervals.over_seeds([one[name] for one in each], row=row) for name in each[0]}


def _spread(each: Sequence[Mapping[str, NDArray[np.float64]]], prefix: str) -> dict[str, float]:
    # How far the seeds of a row lie apart, in every figure that each of them has.
    if len(each) < 2:
        return {}
    spread = {name: float(np.std([one[name][0] for one in each], ddof=1)) for name in each[0]}
    return {f"{prefix}{name}/seeds_std": value for name, value in spread.items() if np.isfinite(value)}


def _means(each: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([one[name] for one in each])) for name in each[0]}


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
    return task_metrics.score(
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


def _load(paths: Sequence[str], timelines: Timelines, flag: str) -> list[Ranker]:
    """The trained rankers of one row; they differ in their seed alone."""
    rankers = [_load_one(path, timelines, flag) for path in paths]
    configs = [one.config.to_dict() for one in rankers]
    for path, config in zip(paths[1:], configs[1:], strict=True):
        names = dict.fromkeys((*configs[0], *config))
        other = [name for name in names if name != "seed" and config.get(name) != configs[0].get(name)]
        if other:
            raise UsageError(
                f"{flag}={path}: differs from {paths[0]} in config.{other[0]}; the runs of a row differ in seed alone, "
                "another config is a row of its own: --compare=NAME=DIR"
            )
    seeds = [config.get("seed") for config in configs]
    if len(set(seeds)) < len(seeds):
        raise UsageError(f"{flag}={','.join(paths)}: two runs of one seed; train each with another --config.seed")
    return rankers


def _load_one(path: str, timelines: Timelines, flag: str) -> Ranker:
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


def _parse_compare(entries: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for entry in entries:
        name, _, folder = entry.partition("=")
        if not name or not folder or "/" in name:
            raise UsageError(f"--compare={entry}: written NAME=DIR, like mlp=runs/mlp")
        if name in _RESERVED:
            raise UsageError(f"--compare={entry}: the name {name} is taken; choose another")
        found.setdefault(name, []).append(folder)
    return found


def table(metrics: Mapping[str, float], rows: Sequence[str], tasks: Sequence[str]) -> str:
    """Rows down, AUC / GAUC of each task and the fused list across; a dash where nothing was measured."""
    headings = [*(f"{task} AUC/GAUC" for task in tasks), "NDCG@10", "skip@10"]
    lines = [" " * 22 + "".join(f"{heading:>20}" for heading in headings)]
    for row in rows:
        prefix = f"{row}/" if row else ""
        cells = [f"{_number(metrics, f'{prefix}{t}/auc')} {_number(metrics, f'{prefix}{t}/gauc')}" for t in tasks]
        cells += [_number(metrics, f"{prefix}{name}") for name in task_metrics.FUSED]
        lines.append(f"{row or 'model':<22}" + "".join(f"{cell:>20}" for cell in cells))
    return "\n".join(lines)


def _number(metrics: Mapping[str, float], name: str) -> str:
    return f"{metrics[name]:.4f}" if name in metrics else "-"
