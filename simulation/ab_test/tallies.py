"""Counts what happens while people are served: the sums per person and day of which every metric is made."""

import numpy as np

from data import feedback
from simulation.world.behaviour import Reactions
from simulation.world.population import Catalogue
from simulation.world.state import World

# Sums over the impressions of a user and day.
COUNTED = (
    "impressions",
    "clicks",
    "dislikes",
    "repeated_dislikes",  # on a creator that the user has disliked before, in the log or since
    "skips",
    "repeated_skips",  # on a creator that the user has skipped before, in the log or since
    "dismissals",
    "play_ms",
    "satisfied_ms",  # of plays that satisfied
    "satisfied_plays",  # clicks that satisfied
    "unsatisfied_plays",  # clicks that did not
    "likes",
    "positives",  # likes, comments, follows and shares
    "satisfaction",  # the probability itself
    "windows",  # full windows of consecutive impressions that ended on the day
    "window_entropy",  # of content clusters, nats, summed over these windows
)


class Tallies:
    """`sums[name]` [n, days] for each name in COUNTED; what a user did before decides what counts as repeated."""

    def __init__(self, world: World, *, days: int, window: int):
        """Of the world's people, n of them; `window`: impressions whose entropy is the measure of diversity."""
        self.sums = {name: np.zeros((world.num_users, days)) for name in COUNTED}
        self._catalogue: Catalogue = world.catalogue
        self._disliked, self._skipped = (
            _creators_of(world, feedback.has(world.log.feedback, name)) for name in ("dislike", "skip")
        )
        self._window = window
        self._in_window = np.zeros((world.num_users, world.config.num_clusters), np.int32)

    def add(self, day: int, users: np.ndarray, items: np.ndarray, reactions: Reactions, *, skip: np.ndarray) -> None:
        """One impression of each of `users` [m], none of them twice; `items` are the world's."""
        creator = self._catalogue.creator[items]
        dislike, click, satisfied = reactions.dislike, reactions.click, reactions.satisfied
        counted = {
            "impressions": np.ones(len(users)),
            "clicks": click,
            "dislikes": dislike,
            "repeated_dislikes": dislike & self._disliked[users, creator],
            "skips": skip,
            "repeated_skips": skip & self._skipped[users, creator],
            "play_ms": reactions.play_ms,
            "satisfied_ms": reactions.play_ms * satisfied,
            "satisfied_plays": click & satisfied,
            "unsatisfied_plays": click & ~satisfied,
            "likes": reactions.like,
            "positives": 1 * reactions.like + reactions.comment + reactions.follow + reactions.share,
            "satisfaction": reactions.satisfaction_probability,
        }
        for name, values in counted.items():
            self.sums[name][users, day] += values
        self._disliked[users, creator] |= dislike
        self._skipped[users, creator] |= skip
        self._add_to_windows(day, users, self._catalogue.cluster[items])

    def dismiss(self, day: int, users: np.ndarray) -> None:
        """These users [m] closed the feed on what they were shown."""
        self.sums["dismissals"][users, day] += 1

    def _add_to_windows(self, day: int, users: np.ndarray, cluster: np.ndarray) -> None:
        self._in_window[users, cluster] += 1
        full = users[self._in_window[users].sum(axis=1) == self._window]
        share = self._in_window[full] / self._window  # [f, clusters]
        self.sums["windows"][full, day] += 1
        self.sums["window_entropy"][full, day] -= (share * np.log(np.where(share > 0, share, 1.0))).sum(axis=1)
        self._in_window[full] = 0


def _creators_of(world: World, where: np.ndarray) -> np.ndarray:
    # [U, creators]: with whom each user has an event of the log in `where`.
    met = np.zeros((world.num_users, world.config.num_creators), bool)
    met[world.log.user[where], world.catalogue.creator[world.log.item[where]]] = True
    return met
