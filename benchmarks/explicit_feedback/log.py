"""The likes and dislikes of a log, and what models learn from and are measured on."""

import dataclasses
from pathlib import Path

import numpy as np
from ml_collections import ConfigDict
from numpy.typing import NDArray

from data import feedback, ranges, timelines
from data.timelines import Timelines
from runtime.errors import UsageError
from satisfaction.saqrec import base
from satisfaction.unbiased.answers import SATISFIED, answers
from satisfaction.unbiased.features import PairFeatures, make_features

_TEST, _VALID = 1, 2  # places from the end, among a user's likes or dislikes


@dataclasses.dataclass(frozen=True)
class Task:
    """Rows x [n, F] and likes y [n] to learn from and to be measured on; positions are those of the timelines."""

    features: PairFeatures
    timelines: Timelines
    likes: NDArray[np.int8]  # [E] 1 like, 0 dislike
    trained: NDArray[np.bool_]  # [E] bool
    held_out: NDArray[np.int64]  # [m] positions, a like and a dislike of each user in it

    def rows(self, positions: NDArray[np.int64]) -> NDArray[np.float32]:
        """What PairModel makes of an impression before it learns anything: [n, 2 + A]."""
        part = self.features.events(positions)
        dot = (part["user"] * part["item"]).sum(axis=1)
        norm = np.sqrt(np.square(part["user"]).sum(axis=1) * np.square(part["item"]).sum(axis=1))
        cosine = np.divide(dot, norm, out=np.zeros_like(dot), where=norm > 0)
        return np.column_stack([cosine, dot / part["user"].shape[1], part["attributes"]])


def likes_and_dislikes(log: Timelines) -> Timelines:
    """The events that are a like or a dislike alone. Of who gave both, the last of each are the test split, and where
    two more are left, the ones before them the validation split; each user's events are in the order of the splits.

    Errors: UsageError where nobody gave both.
    """
    kept = feedback.has(log.feedback, "like") ^ feedback.has(log.feedback, "dislike")
    user = log.user_of_event()[kept]
    likes = feedback.has(log.feedback[kept], "like")
    from_end = np.zeros(len(user), np.int64)
    for kind in (likes, ~likes):
        count = np.bincount(user[kind], minlength=log.num_users)
        from_end[kind] = np.repeat(count, count) - ranges.places(count)

    def pairs(place: int) -> NDArray[np.bool_]:
        # At this place from the end, of users who have a like and a dislike there.
        both = np.bincount(user[from_end == place], minlength=log.num_users) == 2
        return (from_end == place) & both[user]

    test, valid = pairs(_TEST), pairs(_VALID)
    if not valid.any():
        raise UsageError(
            f"--data={log.path}: nobody has two likes and two dislikes or more; give a log with likes and dislikes"
        )
    split = np.where(test, 2, np.where(valid, 1, 0))
    order = np.lexsort((np.arange(len(user)), split, user))
    events = {name: getattr(log, name)[kept][order] for name in timelines.EVENT_DTYPES}
    if not feedback.has(log.feedback, "click", "long_view").any():
        # The base recommender learns from what was clicked or, in a log without clicks, watched: a like is that too.
        watched = np.where(likes[order], feedback.mask_of(["long_view"]), 0)
        events["feedback"] = (events["feedback"] | watched).astype(events["feedback"].dtype)
    offsets = np.concatenate([[0], np.cumsum(np.bincount(user, minlength=log.num_users))])
    first, second = (np.bincount(user[split == part], minlength=log.num_users) for part in (0, 1))
    valid_start = offsets[:-1] + first
    return dataclasses.replace(log, **events, offsets=offsets, valid_start=valid_start, test_start=valid_start + second)


def task_of(log: Timelines, config: ConfigDict, folder: Path, *, split: str) -> Task:
    """What is learned from, and measured, for a split: base recommender and rates know nothing of what is held out."""
    start, end = log.bounds(split)
    log = dataclasses.replace(log, valid_start=start, test_start=end)  # training ends where the split begins
    trained = log.in_split("train")
    embeddings, _ = base.train(config, log, folder / "base")
    given = answers(log, "like_dislike")
    features = make_features(embeddings, log, answers=given, trained=trained, seed=config.seed, answer_rates=True)
    return Task(features, log, (given == SATISFIED).astype(np.int8), trained, np.flatnonzero(log.in_split("valid")))
