"""What recommenders are asked on held-out days: whom, when, and what they should, or should not, then recommend.

Two ways of asking:

    next_days  a query a user, at the moment the split begins, as a daily batch would; its targets are the items that
               the user then reacts to within the split. The history is every event before it.
    next_item  a query for each held-out reaction, just before it, as a live feed would (Wang et al., RecSys '23); its
               target is that one item. The history is every event up to it.

Candidates are all items that are uploaded by then and that the user has not met, so an item met before is no target,
and one that is uploaded once the split has begun is none of next_days. Reactions are of kinds: to those of the first,
the positives, a recommender should lead; to others, skips and dislikes, it should not. An event that is both, such as a
long view that ends in a dislike, is a target of both kinds.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from data import ranges
from data.feedback import BITS, has
from data.timelines import Timelines
from runtime.errors import DataError, UsageError

NEXT_ITEM = "next_item/"  # before the names of its figures; those of next_days have none

Kinds = Mapping[str, Sequence[str]]
"""Name -> the feedback of which any makes an event one of this kind."""


class Moments(NamedTuple):
    """When users ask, [B] each: the user, the position of the first event that is not history, and the time in ms."""

    user: NDArray[np.int64]
    before: NDArray[np.int64]
    time_ms: NDArray[np.int64]

    def rows(self, chosen: slice | NDArray[np.integer]) -> "Moments":
        """Some of them."""
        return Moments(*(column[chosen] for column in self))


ScoreFn = Callable[[Moments], ArrayLike]
"""Scores of every item at some moments [B]: [B, N + 1]; column 0, the padding, is ignored."""


@dataclasses.dataclass(frozen=True)
class Queries:
    """Moments [Q], their targets `items` [Q, M], and the kind of each, by its place in `names` [Q, M], −1 padding.

    `timelines`: of what log. `drawn_from`: how many users there were, where only some are asked for; 0 for all.
    `uploaded_later` [Q]: positives that are no targets of a query, as their items were not there yet.
    """

    moments: Moments
    items: NDArray[np.int64]
    kind: NDArray[np.int64]
    names: tuple[str, ...]
    timelines: Timelines
    uploaded_later: NDArray[np.int64]
    drawn_from: int = 0

    def of(self, name: str) -> NDArray[np.bool_]:
        """Which targets are of this kind, [Q, M]."""
        return self.kind == self.names.index(name)

    def rows(self, chosen: slice | NDArray[np.integer]) -> "Queries":
        """Some of them."""
        columns = {name: getattr(self, name)[chosen] for name in ("items", "kind", "uploaded_later")}
        return dataclasses.replace(self, moments=self.moments.rows(chosen), **columns)

    def drawn(self, name: str, most: int) -> "Queries":
        """Those that have a target of this kind, or so many of them, the same each time."""
        rows = np.flatnonzero(self.of(name).any(axis=1))
        if len(rows) > most:
            rows = np.sort(np.random.default_rng(0).choice(rows, most, replace=False))
        return self.rows(rows)

    def met(self) -> tuple[NDArray[np.int64], NDArray[np.integer]]:
        """What each user has met by then, as `Timelines.items_met` has it."""
        return self.timelines.items_met(self.moments.user, self.moments.before)

    def of_what_is_there(self, scores: NDArray[Any]) -> NDArray[Any]:
        """The scores [Q, N + 1], −inf for what is uploaded after each moment; in place, where they can be written."""
        later = self.timelines.later(self.moments.time_ms)
        if later.any():
            scores = scores if scores.flags.writeable else scores.copy()
            np.copyto(scores, -np.inf, where=later)
        return scores

    @functools.cached_property
    def said_no(self) -> NDArray[np.bool_]:
        """Whether the user had disliked anything by each moment, [Q]."""
        first = self.timelines.offsets[self.moments.user]
        position = ranges.positions(first, self.moments.before - first)
        noes = has(self.timelines.feedback[position], "dislike")
        return np.bincount(ranges.owners(self.moments.before - first)[noes], minlength=len(first)) > 0


def positives(asked_for: Sequence[str], timelines: Timelines) -> tuple[str, ...]:
    """The feedback of --config.positive, or () for what the log has. Errors: UsageError for what is none."""
    if not set(asked_for) <= BITS.keys():
        raise UsageError(f"--config.positive={tuple(asked_for)}: only {', '.join(BITS)}")
    return tuple(asked_for) or timelines.positive_feedback


def asked(
    timelines: Timelines, *, split: str, positive: Sequence[str], users: int = 20_000, events: int = 2_000
) -> dict[str, Queries]:
    """Both ways of asking, by what stands before the names of their figures, with `targets`, `skips` and `dislikes`.

    At most `users` are asked for, drawn of those who react in any of these ways to an unmet item, the same for every
    model; and of these, in next_item, at most `events` of each kind. Without next_item where it has no target to find.
    Errors: DataError where the split has no positive of an item that its user had not met, and that was there.
    """
    kinds = {"targets": tuple(positive), "skips": ("skip",), "dislikes": ("dislike",)}
    days = next_days(timelines, kinds, split=split)
    if not days.of("targets").any():
        raise nothing_to_find(timelines, split, positive)
    if (there := len(days.moments.user)) > users:
        days = days.rows(np.sort(np.random.default_rng(0).choice(there, users, replace=False)))
        days = dataclasses.replace(days, drawn_from=there)
    live = next_item(timelines, kinds, split=split, most=events, users=days.moments.user)
    return {"": days} | ({NEXT_ITEM: live} if live.of("targets").any() else {})


def nothing_to_find(timelines: Timelines, split: str, positive: Sequence[str]) -> DataError:
    """What to say where the users of a split have no positive to be found."""
    liked = " or ".join(positive)
    if later := len(timelines.unmet(split, positive)[0]):
        return DataError(
            f"{timelines.path}: every {liked} of an unmet item in the {split} split ({later:,}) is of an item uploaded "
            "after the split begins, by its uploaded_ms; without that column all items count as there from the start"
        )
    return DataError(
        f"{timelines.path}: no {liked} of an unmet item in the {split} split; prepare it with an earlier "
        f"--config.{split}_start, or name other positives"
    )


def next_days(timelines: Timelines, kinds: Kinds, *, split: str) -> Queries:
    """One query for each user who reacts in any of these ways to an unmet item, in the order of the users.

    A user all of whose items are uploaded after the split begins has no target.
    """
    pairs = [timelines.unmet(split, feedback) for feedback in kinds.values()]
    user, item = (np.concatenate(column) for column in zip(*pairs, strict=True))
    kind_of, there = ranges.owners([len(items_of_kind) for _, items_of_kind in pairs]), timelines.are_there(item, split)
    users, row = np.unique(user, return_inverse=True)
    items, kind = (ranges.padded(row[there], values[there], num_rows=len(users)) for values in (item, kind_of))
    later = np.bincount(row[~there & (kind_of == 0)], minlength=len(users))
    before, begins_ms = timelines.until(split)
    moments = Moments(users, before[users], np.full(len(users), begins_ms, np.int64))
    return Queries(moments, items, kind, tuple(kinds), timelines, uploaded_later=later)


def next_item(
    timelines: Timelines,
    kinds: Kinds,
    *,
    split: str,
    most: int,
    users: NDArray[np.int64] | None = None,
    seed: int = 0,
) -> Queries:
    """One query for each held-out event of a kind of an item not met before it, `most` of each kind drawn with `seed`.

    Of all users, or of some. In the order of their times. An event of two kinds gives two queries.
    """
    rng, chosen = np.random.default_rng(seed), []
    asked_for = np.arange(timelines.num_users) if users is None else np.unique(users)
    lengths = np.diff(timelines.offsets)[asked_for]
    position = ranges.positions(timelines.offsets[asked_for], lengths)  # rising, of these users' events alone
    row, item, bits = ranges.owners(lengths), timelines.item[position], timelines.feedback[position]
    first = np.zeros(len(position), bool)
    first[np.unique(row * (timelines.num_items + 1) + item, return_index=True)[1]] = True
    start, end = (bound[asked_for][row] for bound in timelines.bounds(split))
    held_out = first & (position >= start) & (position < end)
    for feedback in kinds.values():
        events = position[held_out & has(bits, *feedback)]
        chosen.append(rng.choice(events, most, replace=False) if len(events) > most else events)
    event, kind = np.concatenate(chosen), ranges.owners([len(events) for events in chosen])
    order = np.lexsort((event, timelines.timestamp_ms[event]))
    event, kind = event[order], kind[order]
    user = np.searchsorted(timelines.offsets, event, side="right") - 1
    moments = Moments(user.astype(np.int64), event, timelines.timestamp_ms[event])
    items, none = timelines.item[event].astype(np.int64)[:, None], np.zeros(len(event), np.int64)
    return Queries(moments, items, kind[:, None], tuple(kinds), timelines, uploaded_later=none)
