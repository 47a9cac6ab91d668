"""The off-policy check that `simulation.off_policy` makes: estimates of each arm's reward rates, from logged exposures.

Where the log is of a synthetic feed, the truth stands beside them, and how often the intervals hold it.
"""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
from ml_collections import ConfigDict

from data import feedback
from data.timelines import END, SPLITS, Timelines
from metrics.intervals import flat, ratio
from runtime.artifact import write_json
from runtime.errors import UsageError
from runtime.workdir import METRICS, begin
from simulation import limits
from simulation.exported.arms import Arm, load_arms, parse
from simulation.fingerprints import fingerprint
from simulation.off_policy.contexts import Contexts, contexts, policy
from simulation.off_policy.coverage import coverage
from simulation.off_policy.estimators import ESTIMATORS, effective_size
from simulation.off_policy.exposures import REWARDS, Exposures
from simulation.off_policy.reward_model import fit
from simulation.off_policy.truth import TruthAt
from simulation.world.state import open_world

# The days whose random exposures are weighed. Of the validation days every final model has learned, and every export
# has counted on them: a policy that has seen what came of an exposure shows what went well.
JUDGED = "test"


def check(config: ConfigDict, timelines: Timelines, arms: Sequence[Arm], *, data: str) -> None:
    """Raises UsageError, naming flag or setting, where `config` cannot be run on these timelines and arms."""
    limits.at_least(config, dict.fromkeys(("pool", "exposures", "truth_draws", "bootstrap_samples"), 1))
    limits.policy(config, timelines.num_items)
    for arm in arms:
        if JUDGED in arm.recommender.learned_from:
            raise UsageError(
                f"--arms={arm.name}: has learned from the {JUDGED} days, which it is judged by; train it with "
                "--config.train_on=train,valid or less"
            )
        until = arm.recommender.counted_until
        if until not in SPLITS:
            what = "has counted up to the end of the log" if until == END else "does not say up to when it has counted"
            raise UsageError(
                f"--arms={arm.name}: {what}, and the {JUDGED} days judge it; export it with --counted_until={JUDGED}"
            )
        if arm.recommender.vocabulary_hash != timelines.manifest["vocabulary_hash"]:
            raise UsageError(
                f"--arms={arm.name}: exported for another vocabulary than that of --data={data}; give the timelines "
                "that it was trained on"
            )
        if arm.recommender.log and arm.recommender.log != timelines.fingerprint:
            raise UsageError(
                f"--arms={arm.name}: trained on another log than --data={data}, or another split of it, whose days "
                "judge it; give the timelines that it was trained on"
            )


def run(
    config: ConfigDict, *, data: str, arms: Sequence[str], world: str, coverage_seeds: int, workdir: str | None
) -> None:
    """The whole check, from `--data` and `--arms` to metrics.json in `workdir`."""
    folders = parse(arms, least=1)
    timelines = Timelines.open(data)
    loaded = load_arms(folders)
    check(config, timelines, loaded, data=data)
    feed = open_world(world) if world else None
    later = timelines.in_split(JUDGED)
    at = contexts(timelines, later & (timelines.randomly_exposed > 0))
    if not len(at):
        raise UsageError(
            f"--data={data}: no randomly exposed event on the {JUDGED} days: nothing to weigh; give a log that has some"
        )
    pool = _pool(timelines, later, config)
    # Before the workdir is begun: what the world does not know is a mistake in the command.
    known = {"exposed": TruthAt(feed, timelines, at), "pool": TruthAt(feed, timelines, pool)} if feed else {}
    identity = {
        "config": config.to_dict(),
        "data": fingerprint(data),
        "arms": [[arm.name, arm.recommender.fingerprint] for arm in loaded],
        "world": fingerprint(world) if world else "",
        "coverage_seeds": coverage_seeds,
    }
    folder, complete = begin(workdir, identity)
    if complete:
        return

    models = {name: fit(timelines, name) for name in REWARDS}
    rewards = {name: feedback.has(timelines.feedback[at.position], name).astype(np.float64) for name in REWARDS}
    catalogue = timelines.num_there(timelines.timestamp_ms[at.position])
    exposures = Exposures(at.user, timelines.item[at.position], rewards, catalogue)
    options = {"samples": config.bootstrap_samples, "seed": config.seed}
    figures: dict[str, float] = {"exposures": len(at), "users": len(np.unique(at.user))}
    for name, reward in rewards.items():
        per_user = (np.bincount(at.user, weights=w) for w in (reward, np.ones_like(reward)))
        figures |= flat({f"random/{name}": ratio(*per_user, **options)})
    for arm in loaded:
        served = partial(
            policy, arm.recommender, timelines, slate_size=config.slate_size, temperature=config.temperature
        )
        shown = served(at, label=arm.name)
        of_arm = flat(exposures.estimates(shown, models, **options))
        of_arm |= flat({"mean_weight": exposures.mean_weight(shown)})
        of_arm["effective_size"] = effective_size(exposures.weights(shown))
        if feed:
            rng = np.random.default_rng([config.seed, 1])
            rates = known["exposed"].value(rng, shown, draws=config.truth_draws)
            of_arm |= {f"{name}/truth": rate for name, rate in rates.items()}
        if coverage_seeds:
            in_pool = served(pool, label=f"{arm.name}, pool")
            of_arm |= coverage(
                known["pool"], in_pool, pool, models, timelines=timelines, seeds=coverage_seeds, config=config
            )
        figures |= {f"{arm.name}/{name}": figure for name, figure in of_arm.items()}
    write_json(folder / METRICS, figures)
    for line in lines(figures, [arm.name for arm in loaded]):
        print(line)
    for name in not_uniform(figures, [arm.name for arm in loaded]):
        print(
            f"warning: {name}: the mean weight is {figures[f'{name}/mean_weight']:.2f}, not 1: exposures are not "
            "uniform over the catalogue, so that IPS and DR do not hold"
        )
    print(f"off-policy estimates from {len(at):,} random exposures: {folder / METRICS}")


def not_uniform(figures: Mapping[str, float], arms: Sequence[str]) -> list[str]:
    """The arms by whose weights exposures are not uniform over the catalogue (`Exposures.mean_weight`)."""

    def fits(arm: str) -> bool:
        low, high = (figures.get(f"{arm}/mean_weight/{bound}", 1.0) for bound in ("low", "high"))
        return low <= 1 <= high

    return [arm for arm in arms if not fits(arm)]


def lines(figures: Mapping[str, float], arms: Sequence[str]) -> list[str]:
    """One line for each arm, reward and estimator, for the terminal."""
    rows = []
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
        rows.append(line)
    return rows


def _pool(timelines: Timelines, later: np.ndarray, config: ConfigDict) -> Contexts:
    every = contexts(timelines, later)
    size = min(config.pool, len(every))
    chosen = np.sort(np.random.default_rng([config.seed, 0]).choice(len(every), size=size, replace=False))
    return every.at(chosen)
