"""Contexts, moments of a log at which something was shown, and what a recommender would have shown there."""

from dataclasses import dataclass

import jax
import numpy as np

from data.events_read import Reader
from data.timelines import Timelines
from runtime.errors import DataError
from runtime.progress import chunks, progress
from simulation.exported.met import Met
from simulation.exported.recommender import Recommender
from simulation.exported.serving import probabilities, replay, slates, users_at_once


@dataclass(frozen=True)
class Contexts:
    """n moments: just before the event at `position` [n] of `user` [n]; every user has an event before it."""

    user: np.ndarray
    position: np.ndarray

    def __len__(self) -> int:
        return len(self.user)

    def at(self, rows: np.ndarray) -> "Contexts":
        """The contexts `rows` [m]."""
        return Contexts(self.user[rows], self.position[rows])


@dataclass(frozen=True)
class Policy:
    """π(· | x) in n contexts: items [n, k] and their probabilities [n, k]; all other items have none."""

    items: np.ndarray
    probability: np.ndarray

    def at(self, rows: np.ndarray) -> "Policy":
        """The policy in the contexts `rows` [m]."""
        return Policy(self.items[rows], self.probability[rows])

    def probability_of(self, items: np.ndarray) -> np.ndarray:
        """π(y | x) of one item in each of the contexts [n]."""
        return (self.probability * (self.items == items[:, None])).sum(axis=1)


def contexts(timelines: Timelines, where: np.ndarray) -> Contexts:
    """The moments before the events in `where` [E], without those before which the user has no event."""
    user = timelines.user_of_event()
    position = np.flatnonzero(where & (np.arange(len(user)) > timelines.offsets[:-1][user]))
    return Contexts(user=user[position].astype(np.int64), position=position)


def policy(
    recommender: Recommender, timelines: Timelines, at: Contexts, *, slate_size: int, temperature: float, label: str
) -> Policy:
    """The policy of simulation/exported/serving.py, reading before each context what the model reads."""
    vectors, reader = jax.device_put(recommender.item_vectors), Reader(timelines.feedback, recommender.reading)
    chunk = users_at_once(recommender.num_items)
    items = np.zeros((len(at), slate_size), np.int32)
    probability = np.zeros((len(at), slate_size), np.float32)
    with progress(label=label, total=len(at), unit="context") as bar:
        for part in chunks(len(at), chunk):
            # One shape: the last chunk repeats its last context.
            rows = np.minimum(np.arange(part.start, part.start + chunk), len(at) - 1)
            moments = at.at(rows)
            history = timelines.histories(moments.user, moments.position, reader)
            _, queries = replay(
                *(history[name] for name in ("item", "dwell", "feedback")),
                start=recommender.start,
                step=recommender.step,
            )
            met = Met(*timelines.items_met(moments.user, moments.position), chunk).of(np.arange(chunk))
            later = timelines.later(timelines.timestamp_ms[moments.position])
            slate, logits = (np.asarray(x) for x in slates(queries, vectors, met, later, slate_size=slate_size))
            if not np.isfinite(logits).all():
                raise DataError(f"{label}: logits are not finite: the model has diverged; train it again")
            size = part.stop - part.start
            items[part] = slate[:size]
            probability[part] = probabilities(logits, temperature=temperature)[:size]
            bar.update(size)
    return Policy(items, probability)
