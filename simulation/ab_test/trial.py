"""A trial: new people of the feed are drawn, assigned to arms at random, and served; what they did is summed up.

The A/B test is one, and every A/A test is one with two equal arms: what is wrong with how people are drawn, assigned
or served shows in both.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from simulation.ab_test.closed_loop import live_on
from simulation.ab_test.metrics import Sums
from simulation.exported.arms import Arm
from simulation.world.newcomers import child, newcomers
from simulation.world.returning import habits
from simulation.world.state import World


@dataclass(frozen=True)
class Trial:
    """n people, each there once."""

    arm_of: np.ndarray  # [n]
    activity: np.ndarray  # [n] events in the days before the trial
    sums: Sums  # simulation/ab_test/tallies.py: name -> [n, days]

    def sums_of(self, where: np.ndarray) -> Sums:
        """The sums of the people in `where`, a mask [n]."""
        return {name: values[where] for name, values in self.sums.items()}


def run(
    world: World, arms: Sequence[Arm], *, users: int, seed: np.random.SeedSequence, config: Any, quiet: bool = False
) -> Trial:
    """Draws `users` new people of the world, assigns them at random to arms of equal size, and serves them.

    `config` is that of configs/ab_test.py. Who is drawn, who is assigned where, and everybody's luck have seeds of
    their own below `seed`.
    """
    people = newcomers(world, users, child(seed, 0), quiet=quiet)
    theirs = habits(people)
    arm_of = assign(np.random.default_rng(child(seed, 1)), users, len(arms))
    rng = np.random.default_rng(child(seed, 2))
    sums = live_on(rng, people, arm_of, arms, habits=theirs, config=config, quiet=quiet).sums
    return Trial(arm_of=arm_of, activity=theirs.activity, sums=sums)


def assign(rng: np.random.Generator, users: int, arms: int) -> np.ndarray:
    """The arm of each user, int [users]: at random, with arms that differ by one user at most."""
    return rng.permutation(np.arange(users) % arms)
