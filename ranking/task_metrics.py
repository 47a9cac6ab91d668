"""How well predictions of a ranker hold on held-out impressions, task by task and as one fused list.

Impressions are the events of the split, each predicted from what lies strictly before it. Per task: AUC; GAUC, each
user's AUC weighted by impressions, where users of one class are left out and counted; logloss and ECE of the calibrated
probabilities. Fused: each user's impressions in the order of Σ γ_k y_k. To AUC and GAUC a soft label above 0.5 is a
positive; logloss, ECE and calibration take it as it is.

Every figure is a function of how often each user is drawn, so that intervals, and differences of two models on the same
drawn users, come of one bootstrap (metrics/intervals.py). The ECE of a resample is above the ECE of all, for noise adds
to gaps: its resamples are shifted back by their mean excess, or the interval might not even hold the figure.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from data.engagement import LEVELS, engagement
from data.feedback import has
from data.impressions import ranked_positions
from data.timelines import Timelines
from metrics import binary, calibration, intervals, lists
from metrics.calibration import Calibrator
from ranking import fusion
from ranking.tasks import SATISFACTION, Labels

METRICS = ("auc", "gauc", "logloss", "ece")
FUSED = ("fused/ndcg@10", "fused/skip@10")
MIN_GROUP = 200  # impressions; smaller platforms are one group, `other`
_SOFT = 0.5

Floats = NDArray[np.float64]
Statistic = Callable[[Floats], Floats]
"""How often each user is drawn [R, U] -> a figure of each resample [R]."""


class HeldOut(NamedTuple):
    """The impressions [n] of a split. `user` numbers those present from 0; `users` [U] are their indices in the log.

    label in [0, 1] and where: [n, K], in the order of `tasks`. long_view, skip: [n].
    """

    split: str
    tasks: tuple[str, ...]
    positions: NDArray[np.int64]
    users: NDArray[np.int64]
    user: NDArray[np.int64]
    label: NDArray[np.float32]
    where: NDArray[np.bool_]
    long_view: NDArray[np.bool_]
    skip: NDArray[np.bool_]

    @property
    def positive(self) -> NDArray[np.bool_]:
        """Labels as classes [n, K]."""
        return self.label > _SOFT


class Scored(NamedTuple):
    """Predictions for held-out impressions: `raw` and calibrated [n, K], `calibrators` [K], `weights` γ [K]."""

    tasks: tuple[str, ...]
    raw: Floats
    probabilities: Floats
    calibrators: tuple[Calibrator, ...]
    weights: Floats


def held_out(timelines: Timelines, split: str, tasks: Sequence[str], labels: Callable[..., Any]) -> HeldOut:
    """The impressions of `split`; `labels(positions)` gives values [n, K] and where [n, K], as a Ranker does."""
    positions = ranked_positions(timelines, split)
    users, user = np.unique(timelines.user_of_event()[positions], return_inverse=True)
    found = Labels(*labels(positions))
    bits = timelines.feedback[positions]
    return HeldOut(
        split,
        tuple(tasks),
        positions,
        users.astype(np.int64),
        user.reshape(-1),
        found.values,
        found.where,
        has(bits, "long_view"),
        has(bits, "skip"),
    )


def score(
    tasks: Sequence[str],
    valid_raw: Any,
    raw: Any,
    valid: HeldOut,
    held: HeldOut,
    weights: Floats | None,
    penalty: float,
    *,
    satisfaction_weight: float = 0.0,
) -> tuple[Scored, list[fusion.Trade]]:
    """Calibrates predictions, chooses γ on the validation days where none is given, and gives the trade-off there.

    Where the validation days themselves are measured, each user's probabilities are calibrated on the other users of
    two halves; γ is then chosen on what it is measured on, and is a little too good.

    Args: valid_raw, raw: uncalibrated probabilities [n, K] on `valid` and on `held`. penalty of skip@10 and weight of
    satisfaction@10 in the choice; the weight asks for the task of that name.
    """
    raw, valid_raw = np.asarray(raw, np.float64), np.asarray(valid_raw, np.float64)
    columns = [held.tasks.index(task) for task in tasks]
    everybody = np.ones(len(valid.user), bool)
    fitted = tuple(_fit(valid_raw[:, k], valid, column, everybody) for k, column in enumerate(columns))
    on_valid = _apply(fitted, valid_raw)
    probabilities = on_valid.copy() if held.split == valid.split else _apply(fitted, raw)
    if held.split == valid.split:
        for half in (0, 1):
            others = valid.user % 2 != half
            of_others = tuple(_fit(valid_raw[:, k], valid, column, others) for k, column in enumerate(columns))
            probabilities[~others] = _apply(of_others, raw[~others])
    satisfaction = None
    if satisfaction_weight:
        k = valid.tasks.index(SATISFACTION)
        satisfaction = np.where(valid.where[:, k], valid.label[:, k], valid.label[valid.where[:, k], k].mean())
    trades = fusion.trade_off(
        on_valid,
        valid.long_view,
        valid.skip,
        valid.user,
        tasks=tasks,
        num_lists=len(valid.users),
        penalties=(penalty, *fusion.PENALTIES),
        satisfaction=satisfaction,
        satisfaction_weight=satisfaction_weight,
    )
    chosen = trades[0].weights if weights is None else np.asarray(weights, np.float64)
    return Scored(tuple(tasks), raw, probabilities, fitted, chosen), trades[1:]


def figures(scored: Scored, held: HeldOut, *, samples: int = 1000) -> dict[str, Floats]:
    """`<TASK>/<metric>` and FUSED -> its value of all users and of each resample [1 + samples], NaN where undefined."""
    statistics: dict[str, Statistic] = {}
    for k, task in enumerate(scored.tasks):
        statistics |= _of_task(task, scored.probabilities[:, k], held, np.ones(len(held.user), bool), METRICS)
    ndcg, skip = list_figures(scored, held)
    for name, values in zip(FUSED, (ndcg, skip), strict=True):
        statistics[name] = _ratio(np.nan_to_num(values), ~np.isnan(values))
    found = _resampled(statistics, len(held.users), samples=samples)
    return {name: _centred(values) if name.endswith("/ece") else values for name, values in found.items()}


def group_figures(
    scored: Scored, held: HeldOut, groups: Mapping[str, NDArray[np.bool_]], *, samples: int = 1000
) -> dict[str, Floats]:
    """`<group>/<TASK>/auc` and `gauc` of the impressions in each group's mask [n], as `figures`."""
    statistics: dict[str, Statistic] = {}
    for group, inside in groups.items():
        for k, task in enumerate(scored.tasks):
            found = _of_task(task, scored.probabilities[:, k], held, inside, METRICS[:2])
            statistics |= {f"{group}/{name}": statistic for name, statistic in found.items()}
    return _resampled(statistics, len(held.users), samples=samples)


def list_figures(scored: Scored, held: HeldOut) -> tuple[Floats, Floats]:
    """NDCG@10 of long views and the skipped share of the first 10 of each user's list, [U], NaN where undefined."""
    ranks = lists.ranks_within(fusion.fuse(scored.probabilities, scored.weights), held.user)
    size = {"num_groups": len(held.users), "k": fusion.TOP}
    skip = (
        lists.share_of_top(ranks, held.skip, held.user, **size) if held.skip.any() else np.full(len(held.users), np.nan)
    )
    return lists.ndcg(ranks, held.long_view, held.user, **size), skip


def counts(held: HeldOut, scored: Scored) -> dict[str, float]:
    """Of how much each figure is, and how many users have none."""
    found: dict[str, float] = {"impressions": len(held.user), "users": len(held.users)}
    for task in scored.tasks:
        k = held.tasks.index(task)
        where = held.where[:, k]
        positives, known = (
            np.bincount(held.user[mask], minlength=len(held.users)) for mask in (where & held.positive[:, k], where)
        )
        both = (positives > 0) & (positives < known)
        found |= {
            f"{task}/labels": where.sum(),
            f"{task}/positives": (where & held.positive[:, k]).sum(),
            f"{task}/gauc/users": both.sum(),
            f"{task}/gauc/left_out": ((known > 0) & ~both).sum(),
        }
    for name, values in zip(FUSED, list_figures(scored, held), strict=True):
        found |= {f"{name}/lists": (~np.isnan(values)).sum(), f"{name}/left_out": np.isnan(values).sum()}
    return {name: float(number) for name, number in found.items()}


def per_user(scored: Scored, held: HeldOut) -> dict[str, NDArray[Any]]:
    """Each user's own figures [U], NaN where undefined: AUC and mean logloss of each task, and the fused list's."""
    ndcg, skip = list_figures(scored, held)
    found: dict[str, NDArray[Any]] = {
        "user": held.users,
        "impressions": np.bincount(held.user, minlength=len(held.users)),
    }
    found |= dict(zip(FUSED, (ndcg, skip), strict=True))
    for k, task in enumerate(scored.tasks):
        p, label, positive, user = _labelled(scored.probabilities[:, k], held, task)
        size = np.bincount(user, minlength=len(held.users))
        losses = np.bincount(user, binary.log_losses(p, label), len(held.users))
        found[f"{task}/auc"] = binary.auc_of_groups(p, positive, user, num_groups=len(held.users))
        found[f"{task}/logloss"] = np.divide(losses, size, out=np.full(len(size), np.nan), where=size > 0)
    return found


def groups(timelines: Timelines, held: HeldOut) -> dict[str, NDArray[np.bool_]]:
    """`engagement/<level>` (data/engagement.py) and `platform/<surface>` -> its impressions [n]."""
    level = engagement(timelines, split=held.split)[held.users[held.user]]
    found = {f"engagement/{name}": level == number for number, name in enumerate(LEVELS)}
    surface = timelines.surface[held.positions]
    names = timelines.manifest.get("surfaces", ())
    small = np.bincount(surface, minlength=len(names) + 1)[surface] < MIN_GROUP
    for number in np.unique(surface[~small]):
        name = names[number - 1] if 0 < number <= len(names) else "unknown"
        found[f"platform/{name}"] = surface == number
    found["platform/other"] = small
    return {name: inside for name, inside in found.items() if inside.any()}


def _labelled(
    p: Floats, held: HeldOut, task: str, inside: Any = True
) -> tuple[Floats, Floats, Floats, NDArray[np.int64]]:
    # Probabilities, labels, labels as classes, and users, where there is a label.
    k = held.tasks.index(task)
    where = held.where[:, k] & inside
    label, positive = held.label[where, k].astype(np.float64), held.positive[where, k].astype(np.float64)
    return p[where], label, positive, held.user[where]


def _of_task(
    task: str, p: Floats, held: HeldOut, inside: NDArray[np.bool_], metrics: Sequence[str]
) -> dict[str, Statistic]:
    p, label, positive, user = _labelled(p, held, task, inside)
    size = {"num_groups": len(held.users)}
    found: dict[str, Statistic] = {"auc": binary.weighted_auc(p, positive, user, **size)}
    areas = binary.auc_of_groups(p, positive, user, **size)
    seen = np.bincount(user, minlength=len(held.users))
    found["gauc"] = _ratio(np.nan_to_num(areas) * seen, seen * ~np.isnan(areas))
    if "logloss" in metrics:
        found["logloss"] = _ratio(np.bincount(user, binary.log_losses(p, label), len(held.users)), seen)
    if "ece" in metrics:
        cell = user * binary.NUM_BINS + binary.bin_of(p)
        gaps = np.bincount(cell, p - label, len(held.users) * binary.NUM_BINS).reshape(-1, binary.NUM_BINS)  # [U, B]
        found["ece"] = lambda drawn: _divide(np.abs(drawn @ gaps).sum(axis=1), drawn @ seen)
    return {f"{task}/{metric}": found[metric] for metric in metrics}


def _resampled(statistics: Mapping[str, Statistic], users: int, *, samples: int) -> dict[str, Floats]:
    def together(drawn: Floats) -> Floats:
        return np.stack([statistic(drawn) for statistic in statistics.values()], axis=1)  # [R, figures]

    values = intervals.resampled(together, users, samples=samples)
    return {name: values[:, n] for n, name in enumerate(statistics)}


def _centred(values: Floats) -> Floats:
    excess = values[1:] - values[0]
    return np.maximum(np.concatenate([values[:1], values[1:] - excess.mean()]), 0.0)


def _ratio(numerators: Any, denominators: Any) -> Statistic:
    return lambda drawn: _divide(drawn @ numerators, drawn @ denominators)


def _divide(numerator: Floats, denominator: Floats) -> Floats:
    return np.divide(numerator, denominator, out=np.full(np.shape(numerator), np.nan), where=denominator != 0)


def _fit(raw: Floats, valid: HeldOut, column: int, among: NDArray[np.bool_]) -> Calibrator:
    where = valid.where[:, column] & among
    return calibration.fit(raw[where], valid.label[where, column]) if where.any() else calibration.IDENTITY


def _apply(calibrators: Sequence[Calibrator], raw: Floats) -> Floats:
    return np.stack([calibrator(raw[:, k]) for k, calibrator in enumerate(calibrators)], axis=1)
