"""The impressions of held-out days that rankers are measured on, and the groups that figures are given for.

Impressions are the events of a split whose time is known, each predicted from what lies strictly before it.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from data.engagement import LEVELS, engagement
from data.feedback import has
from data.impressions import ranked_positions
from data.timelines import Timelines
from ranking.fusion import Lists
from ranking.tasks import SOFT

MIN_GROUP = 200  # impressions; smaller platforms are one group, `other`


class HeldOut(NamedTuple):
    """The impressions [n] of a split. `user` numbers those present from 0; `users` [U] are their indices in the log.

    label in [0, 1] and where: [n, K], in the order of `tasks`. wanted (`Traits.wanted_feedback`), skip: [n].
    """

    split: str
    tasks: tuple[str, ...]
    positions: NDArray[np.int64]
    users: NDArray[np.int64]
    user: NDArray[np.int64]
    label: NDArray[np.float32]
    where: NDArray[np.bool_]
    wanted: NDArray[np.bool_]
    skip: NDArray[np.bool_]

    @property
    def positive(self) -> NDArray[np.bool_]:
        """Labels as classes [n, K]: a soft label above 0.5 is a positive."""
        return self.label > SOFT

    @property
    def lists(self) -> Lists:
        """Each user's impressions as one list."""
        return Lists(self.wanted, self.skip, self.user, len(self.users))

    def of_tasks(self, tasks: Sequence[str]) -> "HeldOut":
        """The same impressions with the labels of these tasks alone, in this order."""
        columns = [self.tasks.index(task) for task in tasks]
        return self._replace(tasks=tuple(tasks), label=self.label[:, columns], where=self.where[:, columns])


def held_out(timelines: Timelines, split: str, tasks: Sequence[str], labels: Callable[..., Any]) -> HeldOut:
    """The impressions of `split`; `labels(positions)` gives values [n, K] and where [n, K], as a Ranker does."""
    positions = ranked_positions(timelines, split)
    users, user = np.unique(timelines.user_of_event()[positions], return_inverse=True)
    label, where = labels(positions)
    bits = timelines.feedback[positions]
    wanted, skip = has(bits, *timelines.traits.wanted_feedback), has(bits, "skip")
    return HeldOut(split, tuple(tasks), positions, users.astype(np.int64), user.reshape(-1), label, where, wanted, skip)


def groups(timelines: Timelines, days: HeldOut) -> dict[str, NDArray[np.bool_]]:
    """`engagement/<level>` (data/engagement.py) and `platform/<surface>` -> its impressions [n].

    Impressions without a surface are `platform/(none)`, those of surfaces with few of them `platform/(few)`.
    """
    level = engagement(timelines, split=days.split)[days.users[days.user]]
    members = {f"engagement/{name}": level == number for number, name in enumerate(LEVELS)}
    surface = timelines.surface[days.positions]
    names = timelines.manifest.get("surfaces", ())
    small = np.bincount(surface, minlength=len(names) + 1)[surface] < MIN_GROUP
    for number in np.unique(surface[~small]):
        name = names[number - 1] if 0 < number <= len(names) else "(none)"
        members[f"platform/{name}"] = surface == number
    members["platform/(few)"] = small
    return {name: inside for name, inside in members.items() if inside.any()}
