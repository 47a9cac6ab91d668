"""A/A tests: how often a test finds a difference where there is none.

Each is a whole test: new people, assigned to two arms that the same recommender serves, from their past to the
interval. An interval of 95% should leave out zero in 5% of them, whatever the metric; where people were not
independent, or not assigned at random, it would not.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from metrics import intervals
from metrics.two_samples import share
from runtime.progress import progress
from simulation.ab_test import trial
from simulation.ab_test.metrics import Metric, changes
from simulation.ab_test.trial import Trial
from simulation.exported.arms import Arm
from simulation.world.newcomers import child
from simulation.world.state import World

ALPHA = 0.05  # the share of false positives that intervals of 95% should have


def false_positives(
    metrics: Mapping[str, Metric], world: World, arm: Arm, *, tests: int, seed: np.random.SeedSequence, config: Any
) -> dict[str, float]:
    """`shares` of `tests` trials of `config.aa_users` people in two arms, both of them `arm`."""
    verdicts: list[Mapping[str, bool]] = []
    for n in progress(range(tests), label="A/A tests", unit="test"):
        done = trial.run(world, [arm, arm], users=config.aa_users, seed=child(seed, n), config=config, quiet=True)
        verdicts.append(differences(metrics, done, samples=config.bootstrap_samples, seed=n))
    return shares(metrics, verdicts, seed=config.seed)


def differences(metrics: Mapping[str, Metric], done: Trial, *, samples: int, seed: int) -> dict[str, bool]:
    """Whether the interval of the two arms' difference leaves out zero, for each metric that is defined in both."""
    control, treatment = (done.sums_of(done.arm_of == n) for n in range(2))
    return {
        name: not change.relative.low <= 0 <= change.relative.high
        for name, (change,) in changes(metrics, control, treatment, samples=samples, seed=seed).items()
        if np.isfinite(change.relative[1:]).all()
    }


def shares(names: Iterable[str], tests: Sequence[Mapping[str, bool]], *, seed: int) -> dict[str, float]:
    """`<metric>`: the share of `tests` that found a difference, of those in which the metric is defined.

    With `/low` and `/high` (Wilson, 95%); and `mean`, the share over all tests and metrics, with a bootstrap over the
    tests: metrics of one test hang together, tests do not.
    """
    figures: dict[str, float] = {}
    for name in names:
        known = [test[name] for test in tests if name in test]
        if known:
            figures[name], figures[f"{name}/low"], figures[f"{name}/high"] = share(sum(known), len(known))
    if figures:
        pairs = [(sum(test.values()), len(test)) for test in tests]
        mean = intervals.ratio(*zip(*pairs, strict=True), seed=seed)
        # Of few tests, or none with a difference, a bootstrap knows no spread: at least that of as many single ones.
        least = share(mean.value * len(tests), len(tests))
        mean = intervals.Interval(mean.value, min(mean.low, least.low), max(mean.high, least.high))
        figures |= intervals.flat({"mean": mean})
    return figures
