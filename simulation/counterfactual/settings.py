"""Checks the settings of a counterfactual simulation against a recommender, before anything is computed."""

from ml_collections import ConfigDict

from runtime.errors import UsageError
from simulation import limits
from simulation.counterfactual.courses import distances, room, with_baselines
from simulation.counterfactual.similarity import known_kinds
from simulation.exported.recommender import Recommender


def further_events(config: ConfigDict, max_history: int) -> int:
    """The most events after the k-th: of the longest branch, and until the last distance."""
    branches, _ = with_baselines(config.baseline, config.branches)
    return max(branch.length for branch in branches) - 1 + distances(config, max_history)[-1] - 1


def most_events(config: ConfigDict, max_history: int) -> int:
    """The events of the longest history that is simulated."""
    return max((config.k, *config.sweep_k)) + further_events(config, max_history)


def check(config: ConfigDict, recommender: Recommender, *, candidates: int = 0) -> None:
    """Raises UsageError, naming the setting, where `config` cannot be run on `recommender`.

    `candidates`: of a ranking stage, 0 without one.
    """
    limits.at_least(config, {"users": 1, "k": 2, "slate_size": 1, "bootstrap_samples": 1, "examples": 0})
    limits.at_least(config, {"sweep_k": 2, "sweep_slate_size": 1, "distances": 1, "beyond": 0})
    if not config.distances or list(config.distances) != sorted({1, *config.distances}):
        raise UsageError(f"--config.distances={tuple(config.distances)}: ascending, and 1, right after, the first")
    limits.finite(config, "place_power", "first_item_power", least=0)
    limits.finite(config, *(f"behaviours.{name}" for name in config.behaviours), least=0)
    if not any(config.behaviours.values()):
        raise UsageError("--config.behaviours: all shares are 0; give at least one action a share")
    branches, _ = with_baselines(config.baseline, config.branches)
    own, others = room(branches)
    if config.path_of and (own + others > 1 or config.path_of not in [branch.name for branch in branches]):
        raise UsageError(
            f"--config.path_of={config.path_of}: one of --config.branches, each of which is a single action, or ''"
        )
    k, further = max((config.k, *config.sweep_k)), further_events(config, recommender.max_history)
    if config.beyond and not config.reencode and not recommender.goes_on:
        raise UsageError(
            f"--config.beyond={tuple(config.beyond)}: the recommender has no user_step.jax, whose state goes on after "
            f"{recommender.max_history} events; use --config.reencode=True"
        )
    if k + further > recommender.max_history and not config.beyond and not config.reencode:
        setting = "k" if k == config.k else "sweep_k"
        also = f" and {further} more for the longest branch and distance" if further else ""
        raise UsageError(
            f"--config.{setting}={k}{also}: the recommender reads the last {recommender.max_history} events, so "
            f"earlier ones would not count; use {_or_less(setting, recommender.max_history - further)}, or a model of "
            "longer histories"
        )
    size = max((config.slate_size, *config.sweep_slate_size))
    if size + k + further > recommender.num_items:
        setting = "slate_size" if size == config.slate_size else "sweep_slate_size"
        raise UsageError(
            f"--config.{setting}={size}: a slate beside k={k + further} consumed items needs {size + k + further} "
            f"items, the recommender has {recommender.num_items}; use a smaller one"
        )
    if candidates and not size <= candidates <= recommender.num_items - k - further:
        raise UsageError(
            f"--candidates={candidates}: give a number from {size}, the items of a slate, to "
            f"{recommender.num_items - k - further}, those that k={k + further} consumed items leave"
        )
    if own + others > 1 and "content" not in known_kinds(recommender.items):
        raise UsageError(
            f"--config.branches={tuple(config.branches)}: several actions in a row need items of one cluster, or of "
            "others, and the item table knows no cluster of any item; give branches of one action"
        )
    if others and others >= (clusters := int((recommender.items["cluster"].unique() > 0).sum())):
        raise UsageError(
            f"--config.branches={tuple(config.branches)}: {others} other clusters, and the item table knows {clusters} "
            "in all"
        )
    if config.first_item_power > 0 and not (recommender.items["train_count"] > 0).any():
        raise UsageError("--config.first_item_power: no item has a train_count; use --config.first_item_power=0")


def check_met(config: ConfigDict, recommender: Recommender, most_met: int, *, candidates: int = 0) -> None:
    """Errors: UsageError where a slate does not fit beside the items that somebody has met, `most_met` of them."""
    size = max((candidates, config.slate_size, *config.sweep_slate_size))
    left = recommender.num_items - most_met - 1 - further_events(config, recommender.max_history)
    if size > left:
        setting = "--candidates" if candidates == size else "--config.slate_size"
        raise UsageError(
            f"{setting}={size}: somebody has met {most_met:,} of the {recommender.num_items:,} items, none of which is "
            f"shown again; at most {max(left, 0):,} fit"
        )


def _or_less(setting: str, most: int) -> str:
    return f"--config.{setting}={most} or less" if most > 1 else "shorter --config.distances, or --config.reencode=True"
