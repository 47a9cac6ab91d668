"""The branches that are compared: how a course of actions is written down, and what its baseline is.

A branch is one action on the k-th item, or several one after the other: on further items of the k-th item's cluster, or
each on an item of another cluster. Its baseline acts on the same items, with another action where the branch is to be
compared, and with the same one where it is not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, Self

import numpy as np

from data.feedback import has
from runtime.errors import UsageError
from simulation.counterfactual.actions import Action

_ELSEWHERE = "other:"


@dataclass(frozen=True)
class Act:
    """An action on the k-th item or a further one of its cluster, or, `elsewhere`, on an item of one more cluster.

    shared: the baseline does the same.
    """

    action: Action
    elsewhere: bool = False
    shared: bool = False


@dataclass(frozen=True)
class Branch:
    """Actions on the k-th item and on those after it."""

    name: str
    acts: tuple[Act, ...]

    @property
    def length(self) -> int:
        return len(self.acts)

    @property
    def others(self) -> int:
        """How many clusters it acts on beside the k-th item's."""
        return sum(act.elsewhere for act in self.acts)

    @property
    def disliked(self) -> int:
        """How many of its actions are a dislike."""
        return sum(bool(has(act.action.feedback, "dislike")) for act in self.acts)

    @property
    def course(self) -> tuple[tuple[bool, int, int], ...]:
        """What a recommender is told: branches of one course give the same slates."""
        return tuple((act.elsewhere, act.action.dwell, act.action.feedback) for act in self.acts)

    @classmethod
    def parse(cls, name: str) -> Self:
        """The branch that is written so:

          A         the action A on the k-th item
          A,B       and then B on a further item of its cluster
          A,other:B and then B on an item of another cluster; the next `other:` means yet another
          A*3       A three times, `other:B*3` B in three other clusters
          A;B       the same as A,B, but B is done in the baseline too: only A is compared with the baseline's action

        Errors: UsageError.
        """
        compared, *shared = name.split(";")
        if len(shared) > 1:
            raise UsageError(f"branch '{name}': more than one ';'; after it stands all that the baseline does too")
        acts = (*_acts(compared, name), *(replace(act, shared=True) for part in shared for act in _acts(part, name)))
        if acts[0].elsewhere:
            raise UsageError(f"branch '{name}': begin with an action on the k-th item, as in ACTION,{_ELSEWHERE}ACTION")
        return cls(name, acts)

    def baseline(self, action: Action) -> "Branch":
        """On the same items `action` in the place of every act that is not shared."""
        acts = tuple(act if act.shared else replace(act, action=action) for act in self.acts)
        return Branch(_written(acts), acts)


def _acts(part: str, name: str) -> list[Act]:
    acts: list[Act] = []
    for written in part.split(","):
        action, star, times = written.strip().partition("*")
        if star and not (times.isdecimal() and int(times) > 0):
            raise UsageError(f"branch '{name}': '*{times}' is no number of times; write ACTION*3, or ACTION,ACTION")
        elsewhere = action.startswith(_ELSEWHERE)
        acts += [Act(Action.parse(action.removeprefix(_ELSEWHERE)), elsewhere)] * int(times or 1)
    return acts


def _written(acts: Sequence[Act]) -> str:
    # As `Branch.parse` reads it, equal acts in a row with their number.
    parts: dict[bool, list[str]] = {}
    for act, row in groupby(acts):
        times = len(list(row))
        said = f"{_ELSEWHERE if act.elsewhere else ''}{act.action.name}{f'*{times}' if times > 1 else ''}"
        parts.setdefault(act.shared, []).append(said)
    return ";".join(",".join(said) for said in parts.values())


def with_baselines(baseline: str, branches: Sequence[str]) -> tuple[list[Branch], list[int]]:
    """Every branch to simulate, and for each the place of what it is compared with: `Branch.baseline`.

    Baselines come first, the single one before all, and are compared with themselves. Errors: UsageError where a
    branch is a baseline or there twice.
    """
    asked = [Branch.parse(name) for name in branches]
    single = Branch.parse(baseline)
    if single.length > 1:
        raise UsageError(f"--config.baseline={baseline}: one action; branches of several have it as often as they need")
    action = single.acts[0].action
    needed = [branch.baseline(action) for branch in asked]
    shortest_first = sorted(needed, key=lambda branch: branch.length)
    baselines = {branch.course: branch for branch in (single, *shortest_first)}
    courses = list(baselines)
    comparisons = {(branch.course, against.course) for branch, against in zip(asked, needed, strict=True)}
    if len(comparisons) < len(asked) or any(course == against for course, against in comparisons):
        raise UsageError(f"--config.branches={tuple(branches)}: each once, the baseline not among them")
    against = [*range(len(courses)), *(courses.index(branch.course) for branch in needed)]
    return [*baselines.values(), *asked], against


def room(branches: Sequence[Branch]) -> tuple[int, int]:
    """(items of the k-th item's cluster, items of other clusters) that the branches act on, the k-th among them."""
    return max(branch.length - branch.others for branch in branches), max(branch.others for branch in branches)


def branch_columns(branches: Sequence[Branch]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(column of `branching.items_to_act_on`, dwell, feedback) of each action, [n, longest] each, -1 after its last."""
    shape = (len(branches), max(branch.length for branch in branches))
    column, dwell, feedback = (np.full(shape, -1, np.int32) for _ in range(3))
    own, _ = room(branches)
    for row, branch in enumerate(branches):
        reached = {False: 0, True: own}  # the next of its cluster, the next of other clusters
        for n, act in enumerate(branch.acts):
            column[row, n], dwell[row, n], feedback[row, n] = (
                reached[act.elsewhere],
                act.action.dwell,
                act.action.feedback,
            )
            reached[act.elsewhere] += 1
    return column, dwell, feedback


def distances(config: Mapping[str, Any], max_history: int) -> tuple[int, ...]:
    """At which distances slates are looked at: `distances`, and T = max_history and so many more as `beyond` says."""
    return tuple(sorted({*config["distances"], *(max_history + more for more in config.get("beyond", ()))}))
