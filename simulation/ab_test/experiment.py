"""The A/B test that `simulation.ab_test` makes: loads the arms, runs the trial, compares, and writes the files.

Every arm is held up against the first: over all people and days, by day, and by how active people were before the test.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from metrics.intervals import Interval, flat
from runtime.artifact import write_json
from runtime.errors import UsageError
from runtime.workdir import METRICS, begin
from simulation import limits
from simulation.ab_test import long_run, trial
from simulation.ab_test.aa_tests import ALPHA, false_positives
from simulation.ab_test.metrics import PAPERS_WORDS, Change, Metric, all_metrics, changes, known
from simulation.ab_test.trial import Trial
from simulation.exported.arms import Arm, load_arms, parse, parse_rankers, world_items
from simulation.fingerprints import fingerprint
from simulation.world.newcomers import child
from simulation.world.state import open_world

GROUPS = ("low_activity", "medium_activity", "high_activity")  # thirds of the people by events before the test


def check(config: ConfigDict, arms: Sequence[Arm]) -> None:
    """Raises UsageError, naming the setting, where `config` cannot be run on `arms`, or an arm knows later days."""
    moments: dict[str, str] = {}
    for arm in arms:
        moments.setdefault(arm.recommender.counted_until, arm.name)
    moments.pop("", None)  # of those that do not say
    if len(moments) > 1:
        counted = ", ".join(f"{arm} up to '{moment}'" for moment, arm in moments.items())
        raise UsageError(
            f"--arms: not counted up to the same moment ({counted}): what one knows of later days would look like an "
            "effect of how it learns; export all with the same --counted_until"
        )
    if config.users < len(arms):
        raise UsageError(f"--config.users={config.users}: fewer than the {len(arms)} arms; at least one user for each")
    limits.at_least(config, {"aa_users": 2}, {"aa_users": "one for each of the equal arms"})
    limits.at_least(config, dict.fromkeys(("days", "diversity_window", "bootstrap_samples", "long_day_ms"), 1))
    limits.policy(config, arms[0].recommender.num_items)
    limits.probabilities(config, "returning.decay", "returning.dismiss")
    limits.finite(config, "returning.satisfaction", "returning.dislike")
    bins = tuple(config.dislike_bins)
    if not bins or bins[0] != 0 or not all(a < b < math.inf for a, b in itertools.pairwise(bins)):
        raise UsageError(f"--config.dislike_bins={bins}: ascending, and 0 the first")


def run(
    config: ConfigDict,
    *,
    world: str,
    arms: Sequence[str],
    rankers: Sequence[str] = (),
    aa_tests: int,
    workdir: str | None,
) -> None:
    """The whole test, from `--world` and `--arms` to the files in `workdir`."""
    folders = parse(arms, least=2)
    ranker_of = parse_rankers(rankers, folders)
    feed = open_world(world)
    loaded = load_arms(folders, ranker_of)
    check(config, loaded)
    for arm in loaded:  # before the workdir is begun
        world_items(arm.recommender, feed)
    identity = {
        "config": config.to_dict(),
        "arms": [[arm.name, arm.recommender.fingerprint] for arm in loaded],
        "rankers": {arm.name: arm.ranker for arm in loaded if arm.ranker},
        "world": fingerprint(world),
        "aa_tests": aa_tests,
    }
    folder, complete = begin(workdir, identity)
    if complete:
        return

    seed = np.random.SeedSequence(config.seed)
    done = trial.run(feed, loaded, users=config.users, seed=child(seed, 0), config=config)
    per_user: dict[str, Any] = {"arm": done.arm_of, "activity": done.activity, **done.sums}
    np.savez_compressed(folder / "per_user.npz", **per_user)

    metrics = all_metrics(long_day_ms=config.long_day_ms)
    figures, daily = compare(metrics, done, [arm.name for arm in loaded], config)
    if aa_tests:
        shares = false_positives(metrics, feed, loaded[0], tests=aa_tests, seed=child(seed, 1), config=config)
        figures |= {f"aa/{name}": value for name, value in shares.items()}
        figures |= {"aa/tests": aa_tests, "aa/users": config.aa_users}
    relations = {
        arm.name: long_run.relation(
            done.sums_of(done.arm_of == n), bins=config.dislike_bins, samples=config.bootstrap_samples, seed=config.seed
        )
        for n, arm in enumerate(loaded)
    }
    figures |= flat(long_run.slopes(relations), prefix="long_run/")
    write_json(folder / "by_day.json", daily)
    write_json(folder / "long_run.json", relations)
    write_json(folder / "definitions.json", definitions(metrics))
    write_json(folder / METRICS, figures)
    for line in (*lines(metrics, figures, [arm.name for arm in loaded]), *long_run.lines(relations)):
        print(line)
    print(f"A/B test of {config.users:,} users over {config.days} days: {folder / METRICS}")


def activity_group(activity: np.ndarray) -> np.ndarray:
    """Index into GROUPS of people with so many events [n] before the test: thirds of these people."""
    return np.searchsorted(np.quantile(activity, [1 / 3, 2 / 3]), activity, side="right")


def compare(
    metrics: Mapping[str, Metric], done: Trial, names: Sequence[str], config: Any
) -> tuple[dict[str, float], dict[str, Any]]:
    """(flat figures, {arm: {metric: {"value" | "low" | "high": [days]}}}) of every arm against the first."""
    arm_of, group_of = done.arm_of, activity_group(done.activity)
    options = {"samples": config.bootstrap_samples, "seed": config.seed}
    figures: dict[str, float] = {}
    daily: dict[str, Any] = {}
    for n, name in enumerate(names):
        figures[f"users/{name}"] = int((arm_of == n).sum())
        figures[f"impressions/{name}"] = float(done.sums["impressions"][arm_of == n].sum())
        if n == 0:
            continue
        prefix = "" if n == 1 else f"{name}/"
        against = changes(metrics, done.sums_of(arm_of == 0), done.sums_of(arm_of == n), by_day=True, **options)
        for metric, (total, *_) in against.items():
            figures |= _flat(f"{prefix}{metric}/relative", total.relative)
            levels = {names[0]: total.control, name: total.treatment}
            figures |= {f"{metric}/{arm}": value for arm, value in levels.items() if math.isfinite(value)}
        daily[name] = {metric: _by_day(days) for metric, (_, *days) in against.items()}
        for g, group in enumerate(GROUPS):
            inside = group_of == g
            if not (inside & (arm_of == 0)).any() or not (inside & (arm_of == n)).any():
                continue
            parts = changes(
                metrics, done.sums_of(inside & (arm_of == 0)), done.sums_of(inside & (arm_of == n)), **options
            )
            for metric, (total,) in parts.items():
                figures |= _flat(f"{prefix}group/{group}/{metric}/relative", total.relative)
    return figures, daily


def definitions(metrics: Mapping[str, Metric]) -> dict[str, dict[str, Any]]:
    """name -> place in the table, title, formula, the papers' words, which way is better: for readers of the files."""
    return {
        name: {
            "place": place,
            "title": metric.title,
            "formula": metric.formula,
            "words": PAPERS_WORDS.get(name, ""),
            "better": metric.better,
        }
        for place, (name, metric) in enumerate(metrics.items())
    }


def lines(metrics: Mapping[str, Metric], figures: Mapping[str, float], names: Sequence[str]) -> list[str]:
    """One line for each metric and arm, for the terminal, one for each A/A share, and one for their mean."""
    rows = []
    for n, name in enumerate(names[1:]):
        for metric, definition in metrics.items():
            key = f"{f'{name}/' if n else ''}{metric}/relative"
            if key in figures:
                bounds = f"[{figures[f'{key}/low']:+.2%}, {figures[f'{key}/high']:+.2%}]"
                level = f"{figures[f'{metric}/{names[0]}']:,.5g} -> {figures[f'{metric}/{name}']:,.5g}"
                rows.append(f"{definition.title:<32} {name:<24} {figures[key]:+8.2%}  {bounds:<20} {level}")
    for metric, definition in metrics.items():
        if (key := f"aa/{metric}") in figures:
            bounds = f"[{figures[f'{key}/low']:.1%}, {figures[f'{key}/high']:.1%}]"
            miss = "" if figures[f"{key}/low"] <= ALPHA <= figures[f"{key}/high"] else f"  misses {ALPHA:.0%}"
            rows.append(f"{definition.title:<32} A/A false positives {figures[key]:.1%}  {bounds}{miss}")
    if "aa/mean" in figures:
        bounds = f"[{figures['aa/mean/low']:.1%}, {figures['aa/mean/high']:.1%}]"
        rows.append(f"{'All metrics':<32} A/A false positives {figures['aa/mean']:.1%}  {bounds}")
    return rows


def _flat(key: str, change: Interval) -> dict[str, float]:
    return flat({key: change}) if np.isfinite(change).all() else {}


def _by_day(days: Sequence[Change]) -> dict[str, list[float | None]]:
    columns = zip(*(day.relative for day in days), strict=True)
    return {name: [known(number) for number in column] for name, column in zip(Interval._fields, columns, strict=True)}
