"""How well predictions of a ranker hold on held-out impressions, task by task and as one fused list.

Per task: AUC; GAUC, each user's AUC weighted by impressions, where users of one class are left out and counted; logloss
and ECE of the calibrated probabilities. Fused: each user's impressions in the order of Σ γ_k y_k. To AUC and GAUC a
soft label above 0.5 is a positive; logloss, ECE and calibration take it as it is.

Every figure is a function of how often each user is drawn, so that intervals, and differences of two models on the same
drawn users, come of one bootstrap (metrics/intervals.py). The ECE of a resample is above the ECE of all, for noise adds
to gaps: its resamples are shifted back by their mean excess, or the interval might not even hold the figure.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metrics import binary, intervals, lists
from ranking import fusion
from ranking.held_out import HeldOut
from ranking.predictions import Floats, Predictions

FUSED = ("fused/ndcg@10", "fused/skip@10")

Statistic = Callable[[Floats], Floats]
"""How often each user is drawn [R, U] -> a figure of each resample [R]."""


def figures(predictions: Predictions, *, samples: int = 1000) -> dict[str, Floats]:
    """`<TASK>/<metric>` and FUSED -> its value of all users and of each resample [1 + samples], NaN where undefined."""
    days = predictions.days
    statistics: dict[str, Statistic] = {}
    for k, task in enumerate(days.tasks):
        p, label, positive, user = _labelled(predictions, k)
        examples = np.bincount(user, minlength=len(days.users))
        losses = np.bincount(user, binary.log_losses(p, label), len(days.users))
        cell = user * binary.NUM_BINS + binary.bin_of(p)
        gaps = np.bincount(cell, p - label, len(days.users) * binary.NUM_BINS).reshape(-1, binary.NUM_BINS)  # [U, B]
        statistics |= {
            **_areas(f"{task}/", p, positive, user, days),
            f"{task}/logloss": _ratio(losses, examples),
            f"{task}/ece": _gap(gaps, examples),
        }
    for name, values in list_figures(predictions).items():
        statistics[name] = _ratio(np.nan_to_num(values), ~np.isnan(values))
    resampled = _resampled(statistics, len(days.users), samples=samples)
    return {name: _centred(values) if name.endswith("/ece") else values for name, values in resampled.items()}


def group_figures(
    predictions: Predictions, groups: Mapping[str, NDArray[np.bool_]], *, samples: int = 1000
) -> dict[str, Floats]:
    """`<group>/<TASK>/auc` and `gauc` of the impressions in each group's mask [n], as `figures`."""
    days = predictions.days
    statistics: dict[str, Statistic] = {}
    for group, inside in groups.items():
        for k, task in enumerate(days.tasks):
            p, _, positive, user = _labelled(predictions, k, inside)
            statistics |= _areas(f"{group}/{task}/", p, positive, user, days)
    return _resampled(statistics, len(days.users), samples=samples)


def list_figures(predictions: Predictions) -> dict[str, Floats]:
    """FUSED -> NDCG@10 of what is wanted, skipped share of the first 10, of each user's list, [U]; NaN: undefined."""
    days = predictions.days
    ranks = lists.ranks_within(fusion.fuse(predictions.probabilities, predictions.weights), days.user)
    size = {"num_groups": len(days.users), "k": fusion.TOP}
    no_skips = np.full(len(days.users), np.nan)
    skipped = lists.share_of_top(ranks, days.skip, days.user, **size) if days.skip.any() else no_skips
    return dict(zip(FUSED, (lists.ndcg(ranks, days.wanted, days.user, **size), skipped), strict=True))


def uncalibrated(predictions: Predictions) -> dict[str, float]:
    """`<TASK>/uncalibrated/ece` and `logloss`, of the raw probabilities, where they are defined."""
    days = predictions.days
    measured: dict[str, float] = {}
    for k, task in enumerate(days.tasks):
        where = days.where[:, k]
        raw, label = predictions.raw[where, k], days.label[where, k]
        measured[f"{task}/uncalibrated/ece"] = binary.ece(raw, label)
        measured[f"{task}/uncalibrated/logloss"] = binary.logloss(raw, label)
    return {name: value for name, value in measured.items() if np.isfinite(value)}


def counts(predictions: Predictions) -> dict[str, float]:
    """Of how much each figure is, and how many users have none."""
    days = predictions.days
    numbers: dict[str, Any] = {"impressions": len(days.user), "users": len(days.users)}
    for k, task in enumerate(days.tasks):
        where, positive = days.where[:, k], days.where[:, k] & days.positive[:, k]
        labels, positives = (np.bincount(days.user, mask, len(days.users)) for mask in (where, positive))
        both = (positives > 0) & (positives < labels)
        numbers |= {
            f"{task}/labels": where.sum(),
            f"{task}/positives": positive.sum(),
            f"{task}/gauc/users": both.sum(),
            f"{task}/gauc/left_out": ((labels > 0) & ~both).sum(),
        }
    for name, values in list_figures(predictions).items():
        numbers |= {f"{name}/lists": (~np.isnan(values)).sum(), f"{name}/left_out": np.isnan(values).sum()}
    return {name: float(number) for name, number in numbers.items()}


def per_user(predictions: Predictions) -> dict[str, Floats]:
    """Each user's own figures [U], NaN where undefined: AUC and mean logloss of each task, and the fused list's."""
    days = predictions.days
    own = list_figures(predictions)
    for k, task in enumerate(days.tasks):
        p, label, positive, user = _labelled(predictions, k)
        losses = np.bincount(user, binary.log_losses(p, label), len(days.users))
        own[f"{task}/auc"] = binary.auc_of_groups(p, positive, user, num_groups=len(days.users))
        own[f"{task}/logloss"] = intervals.divide(losses, np.bincount(user, minlength=len(days.users)))
    return own


def _labelled(predictions: Predictions, k: int, inside: Any = True) -> tuple[Floats, Floats, Floats, NDArray[np.int64]]:
    # Of the k-th task: probabilities, labels, labels as classes, and users, where there is a label.
    days = predictions.days
    where = days.where[:, k] & inside
    label, positive = days.label[where, k].astype(np.float64), days.positive[where, k].astype(np.float64)
    return predictions.probabilities[where, k], label, positive, days.user[where]


def _areas(prefix: str, p: Floats, positive: Floats, user: NDArray[np.int64], days: HeldOut) -> dict[str, Statistic]:
    size = {"num_groups": len(days.users)}
    return {
        f"{prefix}auc": binary.weighted_auc(p, positive, user, **size),
        f"{prefix}gauc": binary.weighted_gauc(p, positive, user, **size),
    }


def _resampled(statistics: Mapping[str, Statistic], users: int, *, samples: int) -> dict[str, Floats]:
    def together(drawn: Floats) -> Floats:
        return np.stack([statistic(drawn) for statistic in statistics.values()], axis=1)  # [R, figures]

    values = intervals.resampled(together, users, samples=samples)
    return {name: values[:, n] for n, name in enumerate(statistics)}


def _centred(values: Floats) -> Floats:
    excess = values[1:] - values[0]
    return np.maximum(np.concatenate([values[:1], values[1:] - excess.mean()]), 0.0)


def _ratio(numerators: Any, denominators: Any) -> Statistic:
    return lambda drawn: intervals.divide(drawn @ numerators, drawn @ denominators)


def _gap(gaps: NDArray[Any], examples: NDArray[np.int64]) -> Statistic:
    return lambda drawn: intervals.divide(np.abs(drawn @ gaps).sum(axis=1), drawn @ examples)
