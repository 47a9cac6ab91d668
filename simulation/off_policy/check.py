"""Off-policy estimates of exported recommenders, from timelines to files: the work of `simulation.off_policy`."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from ml_collections import ConfigDict

from data import feedback
from data.timelines import SPLITS, Timelines
from metrics.intervals import Interval, flat, ratio
from metrics.two_samples import share
from runtime.artifact import MANIFEST, digest, write_json
from runtime.errors import UsageError
from runtime.progress import progress
from runtime.workdir import METRICS, is_complete, open_workdir
from simulation.exported.arms import Arm, load_arms, parse
from simulation.off_policy.contexts import Contexts, Policy, contexts, policy
from simulation.off_policy.estimators import ESTIMATORS, effective_size, estimate
from simulation.off_policy.reward_model import RewardModel, fit
from simulation.off_policy.truth import TruthAt
from simulation.world.state import open_world

REWARDS = ("dislike", "long_view")


def check(config: ConfigDict, timelines: Timelines, arms: Sequence[Arm], *, data: str) -> None:
    """Raises UsageError, naming flag or setting, where `config` cannot be run on these timelines and arms."""
    for name in ("slate_size", "pool", "exposures", "truth_draws", "bootstrap_samples"):
        if config[name] < 1:
            raise UsageError(f"--config.{name}={config[name]}: at least 1")
    if not 0 < config.temperature < math.inf:
        raise UsageError(f"--config.temperature={config.temperature}: a finite number above 0")
    if not config.splits or set(config.splits) - set(SPLITS):
        raise UsageError(f"--config.splits={tuple(config.splits)}: some of {', '.join(SPLITS)}")
    for arm in arms:
        if arm.recommender.vocabulary_hash != timelines.manifest["vocabulary_hash"]:
            raise UsageError(
                f"--arms={arm.name}: exported for another vocabulary than that of --data={data}; give the timelines "
                "that it was trained on"
            )
    if config.slate_size > timelines.num_items:
        raise UsageError(f"--config.slate_size={config.slate_size}: there are {timelines.num_items} items; use fewer")


def run(
    config: ConfigDict, *, data: str, arms: Sequence[str], world: str, coverage_seeds: int, workdir: str | None
) -> None:
    """The whole check, from `--data` and `--arms` to metrics.json in `workdir`."""
    folders = parse(arms, least=1)
    timelines = Timelines.open(data)
    loaded = load_arms(folders)
    check(config, timelines, loaded, data=data)
    feed = open_world(world) if world else None
    later = np.any([timelines.in_split(split) for split in config.splits], axis=0)
    at = contexts(timelines, later & (timelines.randomly_exposed > 0))
    if not len(at):
        raise UsageError(
            f"--data={data}: no randomly exposed event on the {' and '.join(config.splits)} days: nothing to weigh; "
            "name other --config.splits, or give a log that has some"
        )
    pool = _pool(timelines, later, config)
    # Before the workdir is begun: what the world does not know is a mistake in the command.
    known = {"exposed": TruthAt(feed, timelines, at), "pool": TruthAt(feed, timelines, pool)} if feed else {}
    identity = {
        "config": config.to_dict(),
        "data": digest(Path(data) / MANIFEST),
        "arms": [[arm.name, arm.recommender.fingerprint] for arm in loaded],
        "world": digest(Path(world) / "truth" / MANIFEST) if world else "",
        "coverage_seeds": coverage_seeds,
    }
    folder = open_workdir(workdir, identity)
    if is_complete(folder):
        print(f"{folder / METRICS}: complete already; delete the workdir to estimate again")
        return

    models = {name: fit(timelines, name) for name in REWARDS}
    item = timelines.item[at.position]
    rewards = {name: feedback.has(timelines.feedback[at.position], name).astype(np.float64) for name in REWARDS}
    options = {"samples": config.bootstrap_samples, "seed": config.seed}
    figures: dict[str, float] = {"exposures": len(at), "users": len(np.unique(at.user))}
    for name, reward in rewards.items():
        per_user = (np.bincount(at.user, weights=w) for w in (reward, np.ones_like(reward)))
        figures |= flat({f"random/{name}": ratio(*per_user, **options)})
    for arm in loaded:
        settings = {"slate_size": config.slate_size, "temperature": config.temperature}
        shown = policy(arm.recommender, timelines, at, label=arm.name, **settings)
        weights = timelines.num_items * shown.of(item)
        found = estimate(weights, rewards, _predicted(models, at.user, shown, item), at.user, **options)
        figures |= flat(found, prefix=f"{arm.name}/")
        figures[f"{arm.name}/effective_size"] = effective_size(weights)
        if feed:
            rng = np.random.default_rng([config.seed, 1])
            truth = known["exposed"].value(rng, shown, draws=config.truth_draws)
            figures |= {f"{arm.name}/{name}/truth": value for name, value in truth.items()}
        if coverage_seeds:
            in_pool = policy(arm.recommender, timelines, pool, label=f"{arm.name}, pool", **settings)
            covered = coverage(
                known["pool"], in_pool, pool, models, num_items=timelines.num_items, seeds=coverage_seeds, config=config
            )
            figures |= {f"{arm.name}/{name}": value for name, value in covered.items()}
    write_json(folder / METRICS, figures)
    for line in lines(figures, [arm.name for arm in loaded]):
        print(line)
    print(f"off-policy estimates from {len(at):,} random exposures: {folder / METRICS}")


def coverage(
    truth: TruthAt,
    shown: Policy,
    pool: Contexts,
    models: Mapping[str, RewardModel],
    *,
    num_items: int,
    seeds: int,
    config: ConfigDict,
) -> dict[str, float]:
    """`<reward>/<estimator>/coverage`: share of `seeds` new sets of random exposures whose interval holds the truth.

    With `/low` and `/high` (Wilson, 95%), `/bias`, mean estimate / truth − 1, and `<reward>/pool_truth`.
    """
    known = truth.value(np.random.default_rng([config.seed, 2]), shown, draws=config.truth_draws)
    hits: dict[str, int] = {}
    values: dict[str, float] = {}
    for seed in progress(range(seeds), label="coverage", unit="seed"):
        rng = np.random.default_rng([config.seed, 3, seed])
        rows = rng.integers(len(pool), size=config.exposures)
        item = rng.integers(1, num_items + 1, size=config.exposures)
        reactions = truth.react(rng, rows, item)
        drawn = Policy(shown.items[rows], shown.probability[rows])
        weights = num_items * drawn.of(item)
        rewards = {name: getattr(reactions, name).astype(np.float64) for name in REWARDS}
        users = pool.user[rows]
        found = estimate(
            weights,
            rewards,
            _predicted(models, users, drawn, item),
            users,
            samples=config.bootstrap_samples,
            seed=seed,
        )
        for name, interval in found.items():
            hits[name] = hits.get(name, 0) + _holds(interval, known[name.split("/")[0]])
            values[name] = values.get(name, 0.0) + interval.value / seeds
    figures = {f"{name}/pool_truth": value for name, value in known.items()}
    for name, count in hits.items():
        covered = share(count, seeds)
        key = f"{name}/coverage"
        figures |= {key: covered.value, f"{key}/low": covered.low, f"{key}/high": covered.high}
        bias = values[name] / known[name.split("/")[0]] - 1
        figures |= {f"{name}/bias": bias} if math.isfinite(bias) else {}
    return figures


def lines(figures: Mapping[str, float], arms: Sequence[str]) -> list[str]:
    """One line for each arm, reward and estimator, for the terminal."""
    found = []
    for key in (f"{arm}/{reward}/{estimator}" for arm in arms for reward in REWARDS for estimator in ESTIMATORS):
        if key not in figures:
            continue
        line = f"{key:<32} {figures[key]:8.4f}  [{figures[f'{key}/low']:.4f}, {figures[f'{key}/high']:.4f}]"
        truth = f"{key.rpartition('/')[0]}/truth"
        line += f"  truth {figures[truth]:.4f}" if truth in figures else ""
        covered = f"{key}/coverage"
        if covered in figures:
            bounds = f"[{figures[f'{covered}/low']:.0%}, {figures[f'{covered}/high']:.0%}]"
            line += f"  coverage {figures[covered]:.0%} {bounds}"
        found.append(line)
    return found


def _predicted(
    models: Mapping[str, RewardModel], users: np.ndarray, shown: Policy, item: np.ndarray
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    return {
        name: (
            (shown.probability * model.predict(users[:, None], shown.items)).sum(axis=1),
            model.predict(users, item),
        )
        for name, model in models.items()
    }


def _pool(timelines: Timelines, later: np.ndarray, config: ConfigDict) -> Contexts:
    every = contexts(timelines, later)
    size = min(config.pool, len(every))
    chosen = np.sort(np.random.default_rng([config.seed, 0]).choice(len(every), size=size, replace=False))
    return Contexts(every.user[chosen], every.position[chosen])


def _holds(interval: Interval, value: float) -> int:
    return int(interval.low <= value <= interval.high)
