"""One measurement of responsiveness, from exported recommender to files: the work of `simulation.counterfactual`."""

import math

import numpy as np
from ml_collections import ConfigDict

from runtime.artifact import write_json
from runtime.errors import UsageError
from runtime.workdir import METRICS, is_complete, open_workdir
from simulation import responsiveness, trajectories
from simulation.actions import Action
from simulation.examples import examples
from simulation.recommender import Recommender, load


def check(config: ConfigDict, recommender: Recommender) -> None:
    """Raises UsageError, naming the setting, where `config` cannot be run on `recommender`."""
    for name, least in (("users", 1), ("k", 2), ("slate_size", 1), ("bootstrap_samples", 1), ("examples", 0)):
        if config[name] < least:
            raise UsageError(f"--config.{name}={config[name]}: at least {least}")
    for name in ("place_power", "first_item_power"):
        if not (0 <= config[name] < math.inf):
            raise UsageError(f"--config.{name}={config[name]}: a finite number, 0 or more")
    for name, share in config.behaviours.items():
        if not (0 <= share < math.inf):
            raise UsageError(f"--config.behaviours.{name}={share}: a finite share, 0 or more")
    if not any(config.behaviours.values()):
        raise UsageError("--config.behaviours: all shares are 0; give at least one action a share")
    if config.baseline in config.branches or len(set(config.branches)) < len(config.branches):
        raise UsageError(f"--config.branches={tuple(config.branches)}: each once, the baseline not among them")
    if config.k > recommender.max_history:
        raise UsageError(
            f"--config.k={config.k}: the recommender reads the last {recommender.max_history} events, so earlier ones "
            f"would not count; use --config.k={recommender.max_history} or less, or a model of longer histories"
        )
    if config.slate_size + config.k > recommender.num_items:
        raise UsageError(
            f"--config.slate_size={config.slate_size}: a slate beside k={config.k} consumed items needs "
            f"{config.slate_size + config.k} items, the recommender has {recommender.num_items}; use a smaller one"
        )
    if config.first_item_power > 0 and not (recommender.items["train_count"] > 0).any():
        raise UsageError("--config.first_item_power: no item has a train_count; use --config.first_item_power=0")


def run(config: ConfigDict, recommender_path: str, workdir: str | None) -> None:
    """The whole measurement, from an exported recommender to the files in `workdir`."""
    branches = [Action.parse(name) for name in (config.baseline, *config.branches)]
    recommender = load(recommender_path)
    check(config, recommender)
    folder = open_workdir(workdir, {"config": config.to_dict(), "recommender": recommender.fingerprint})
    if is_complete(folder):
        print(f"{folder / METRICS}: complete already; delete the workdir to measure again")
        return

    plan = trajectories.draw_plan(
        seed=config.seed,
        users=config.users,
        k=config.k,
        slate_size=config.slate_size,
        place_power=config.place_power,
        item_counts=recommender.items["train_count"].to_numpy(),
        first_item_power=config.first_item_power,
        behaviours=config.behaviours.to_dict(),
    )
    outcome = responsiveness.simulate(recommender, plan, branches, slate_size=config.slate_size)
    similarities = responsiveness.similarities(outcome, recommender.items)
    for kind, column in responsiveness.KINDS.items():
        if kind not in similarities:
            print(f"{kind} similarity left out: the item table has no {column} of any item")
    metrics = responsiveness.summary(
        similarities, [branch.name for branch in branches], seed=config.seed, samples=config.bootstrap_samples
    )

    per_user = {
        f"{branch.name}/{kind}": similarity[n]
        for kind, similarity in similarities.items()
        for n, branch in enumerate(branches)
    }
    slates = {f"slates/{branch.name}": slate for branch, slate in zip(branches, outcome.slates, strict=True)}
    np.savez_compressed(folder / "per_user.npz", items=outcome.history, **per_user, **slates)
    write_json(folder / "examples.json", examples(outcome, plan, recommender.items, users=config.examples))
    write_json(folder / METRICS, metrics)
    for line in responsiveness.lines(metrics, config.branches):
        print(line)
    print(f"responsiveness of {config.users} users at k={config.k}: {folder / METRICS}")
