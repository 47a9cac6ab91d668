"""Requests to a served ranker, made from a log: for warming a server up, for timing it, for tests."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.timelines import Timelines
from data.watch_time import WATCHED
from ranking.checkpoint import Ranker
from ranking.export.saved_model import unknown_surface
from ranking.log_statistics import outcomes

Request = dict[str, NDArray[Any]]


class Requests:
    """Makes the requests that a server gets, from a log, for a model."""

    def __init__(self, timelines: Timelines, ranker: Ranker):
        self._timelines, self._length = timelines, ranker.config.length
        names = ranker.statistics.manifest["history_feedback"]
        values, known = outcomes(timelines, names, ranker.statistics.thresholds)
        self._flags = {
            name: np.where(known[:, k], values[:, k], -1).astype(np.int32)
            for k, name in enumerate(names)
            if name not in WATCHED
        }
        surfaces = list(timelines.manifest.get("surfaces", ()))
        self._surfaces = np.array([unknown_surface(surfaces), *surfaces])
        self._item_ids, self._user_ids = timelines.items["item_id"], timelines.users["user_id"]

    def at(self, user: int, end: int, *, time_ms: int, surface: int, candidates: NDArray[Any]) -> Request:
        """The request of a user whose last T events end at a position, for items [c] on a surface, both dense."""
        log = self._timelines
        events = slice(max(int(log.offsets[user]), end - self._length), end)
        columns: Request = {
            "history_item_id": self._item_ids.gather(log.item[events]).to_numpy(),
            "history_play_ms": log.play_ms[events],
            "history_surface": self._surfaces[log.surface[events]],
            "history_timestamp_ms": log.timestamp_ms[events],
            **{f"history_{name}": flag[events] for name, flag in self._flags.items()},
            "candidate_item_id": self._item_ids.gather(candidates).to_numpy(),
        }
        of_user: Request = {
            "user_id": self._user_ids.gather([user]).to_numpy(),
            "platform": self._surfaces[[surface]],
            "time_ms": np.array([time_ms], np.int64),
        }
        return {**{name: column[None] for name, column in columns.items()}, **of_user}

    def random(self, number: int, *, candidates: int) -> list[Request]:
        """Requests of random users a second after their last event, for `candidates` random items."""
        log, rng = self._timelines, np.random.default_rng(1)
        made = []
        for user in rng.choice(np.flatnonzero(np.diff(log.offsets) > 0), number):
            end = int(log.offsets[user + 1])
            items = 1 + rng.permutation(log.num_items)[:candidates]
            moment = int(log.timestamp_ms[end - 1]) + 1_000
            surface = int(log.surface[end - 1])
            made.append(self.at(int(user), end, time_ms=moment, surface=surface, candidates=items))
        return made
