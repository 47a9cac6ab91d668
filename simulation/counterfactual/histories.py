"""Users whose history is known: logged histories that are replayed, and histories that somebody has written down.

`replay` cuts the timelines of real users at a chosen event; `read` takes a Parquet file with columns user_id and
item_id (original ids), rows in order (or by timestamp_ms), and what was done: either `action`
(simulation/counterfactual/actions.py), or play_ms and the feedback columns of the canonical events. The last event of a
user is the item at which the history branches; what was done with it does not count.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import polars as pl

from data import feedback, ranges, vocabulary
from data.events_read import Reader
from data.raw import values
from data.timelines import Timelines
from runtime.errors import DataError, UsageError
from simulation.counterfactual.actions import Action
from simulation.counterfactual.trajectories import Slates, Walk
from simulation.exported.recommender import Recommender
from simulation.exported.serving import replay as replay_events

_LEAST_EVENTS = 2  # one to be read, one to branch at


@dataclass(frozen=True)
class Histories:
    """item, dwell, feedback [U, k-1]: the events before the branch, from the left, at least one, zeros after the last;
    last [U]: the item at which the history branches. met: pairs (user, item), flat, users rising: what users have met
    before it, also in events that are not among those."""

    item: np.ndarray
    dwell: np.ndarray
    feedback: np.ndarray
    last: np.ndarray
    met: tuple[np.ndarray, np.ndarray] = (np.zeros(0, np.int64), np.zeros(0, np.int32))

    @property
    def num_users(self) -> int:
        """U."""
        return len(self.last)

    @property
    def items(self) -> np.ndarray:
        """All items [U, k], the last of which is the one branched at."""
        return np.concatenate([self.item, self.last[:, None]], axis=1)

    @property
    def most_met(self) -> int:
        """How many items the user who has met most has met."""
        return int(np.bincount(self.met[0], minlength=1).max())

    def walk(self, recommender: Recommender, item_vectors: jax.Array, users: np.ndarray, slates: Slates) -> Walk:
        """Users [b] at their last item (`Trajectories`)."""
        del item_vectors, slates  # nothing was recommended by this model
        item, dwell, feedback = (jnp.asarray(column[users]) for column in (self.item, self.dwell, self.feedback))
        state, query = replay_events(item, dwell, feedback, start=recommender.start, step=recommender.step)
        owner, items = self.met
        begin, end = (np.searchsorted(owner, users, side=side) for side in ("left", "right"))
        met = np.zeros((len(users), self.most_met), np.int32)
        met[ranges.owners(end - begin), ranges.places(end - begin)] = items[ranges.positions(begin, end - begin)]
        return Walk(state, query, (item, dwell, feedback), jnp.asarray(self.last[users]), jnp.asarray(met))


def replay(
    timelines: Timelines, recommender: Recommender, *, users: int, k: int, cut_at: Sequence[str], seed: int
) -> Histories:
    """`users` users drawn from those with a past, each up to the last event with any of the feedback `cut_at`.

    () cuts at the last event, whatever it is. At most k events are read, of a longer past those that the model's rule
    has for so many (data/events_read.py); what was met before is not shown again.

    Errors: UsageError where the timelines hold other items than the recommender, or the feedback is not known;
    DataError where no user has such an event.
    """
    if recommender.vocabulary_hash and recommender.vocabulary_hash != timelines.manifest["vocabulary_hash"]:
        raise UsageError(
            f"--data={timelines.path}: other items than the recommender was trained on; give the timelines that it was"
        )
    unknown = [name for name in cut_at if name not in feedback.BITS]
    if unknown:
        raise UsageError(f"--config.cut_at: no feedback '{unknown[0]}'; any of {', '.join(feedback.BITS)}")
    wanted = feedback.has(timelines.feedback, *cut_at) if cut_at else np.ones(len(timelines.item), bool)
    wanted[timelines.first_events()] = False  # nothing is before them
    at = np.flatnonzero(wanted)
    last = np.full(timelines.num_users, -1)
    last[timelines.user_of_event()[at]] = at  # in order, so the last one stays
    there = np.flatnonzero(last >= 0)
    if not len(there):
        raise DataError(
            f"{timelines.path}: no event that is {' or '.join(cut_at) or 'anything'} with an event of the same user "
            "before it; set --config.cut_at to other feedback"
        )
    chosen = np.sort(np.random.default_rng(seed).permutation(there)[:users])
    reader = Reader(timelines.feedback, recommender.reading.of(k - 1))
    columns = timelines.histories(chosen, last[chosen], reader)
    met = np.unique(np.stack(timelines.items_met(chosen, last[chosen])), axis=1)
    return Histories(**columns, last=timelines.item[last[chosen]].astype(np.int32), met=(met[0], met[1]))


def read(path: str, recommender: Recommender, *, k: int) -> Histories:
    """The histories in the Parquet file at `path`, the last k events of each user, users in order of appearance.

    Errors: DataError names file, row, column and value.
    """
    try:
        table = pl.read_parquet(path, glob=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = "no such file" if not Path(path).exists() else f"cannot be read ({error})"
        raise UsageError(f"--histories={path}: {reason}; give a Parquet file of user_id, item_id and action") from None
    for column in ("user_id", "item_id"):
        if column not in table.columns:
            raise DataError(f"{path}: no column '{column}'; it needs user_id, item_id and action (or feedback columns)")
    if table["user_id"].null_count():
        row = int(table["user_id"].is_null().arg_max() or 0)
        raise DataError(f"{path}: row {row}, column user_id: empty; write whose event it is")
    item = _indices(path, table["item_id"], recommender)
    dwell, bits = _reactions(path, table)
    table = table.with_row_index("row")
    if "timestamp_ms" in table.columns:
        moments = _numbers(path, table, "timestamp_ms", least=1, most=2**62, empty=0)
        if not moments.all():
            raise DataError(f"{path}: row {int(np.argmin(moments))}, column timestamp_ms: empty; write when it was")
        table = table.with_columns(timestamp_ms=pl.Series(moments)).sort("timestamp_ms", maintain_order=True)
    user = table.group_by("user_id", maintain_order=True).agg("row")["row"].to_list()
    whole = [np.array(events) for events in user]
    rows = [events[-k:] for events in whole]
    short = next((n for n, events in enumerate(rows) if len(events) < _LEAST_EVENTS), None)
    if short is not None:
        who = table["user_id"].unique(maintain_order=True)[short]
        raise DataError(f"{path}: user_id {who} has one event; it takes one to be read and one to branch at")
    if not rows:
        raise DataError(f"{path}: no rows; write at least two events of a user")
    columns = {name: np.zeros((len(rows), k - 1), np.int32) for name in ("item", "dwell", "feedback")}
    for n, events in enumerate(rows):
        for name, observed in (("item", item), ("dwell", dwell), ("feedback", bits)):
            columns[name][n, : len(events) - 1] = observed[events[:-1]]
    before = [events[:-1] for events in whole]
    met = np.repeat(np.arange(len(rows)), [len(events) for events in before]), item[np.concatenate(before)]
    return Histories(**columns, last=item[np.array([events[-1] for events in rows])], met=met)


def _indices(path: str, ids: pl.Series, recommender: Recommender) -> np.ndarray:
    known = recommender.items["item_id"][1:]  # without padding, so that codes are indices of the item table
    codes = vocabulary.encode(*values.alike(values.ids(ids, f"{path}: column item_id"), known))
    if not codes.all():
        row = int(np.argmin(codes))
        raise DataError(f"{path}: row {row}, column item_id: {ids[row]} is no item of the recommender; take it out")
    return codes


def _reactions(path: str, table: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    if "action" in table.columns:
        names = vocabulary.build(table["action"].cast(pl.String))
        actions = {}
        for name in names:
            try:
                actions[name] = Action.parse(name)
            except UsageError as error:
                row = int((table["action"] == name).arg_max() or 0)
                raise DataError(f"{path}: row {row}, column action: {error}") from None
        if table["action"].null_count():
            row = int(table["action"].is_null().arg_max() or 0)
            raise DataError(f"{path}: row {row}, column action: empty; write what was done with the item")
        done = [actions[name] for name in table["action"]]
        return np.array([a.dwell for a in done], np.int32), np.array([a.feedback for a in done], np.int32)
    flags = [name for name in feedback.BITS if name in table.columns and name != "skip"]
    if not flags and "play_ms" not in table.columns:
        raise DataError(f"{path}: no column 'action', nor play_ms or feedback columns; write what was done")
    play_ms = _numbers(path, table, "play_ms", least=0, most=2**31 - 1, empty=-1)
    columns = {name: _numbers(path, table, name, least=0, most=1, empty=0) for name in flags}
    bits = feedback.to_bits(columns, play_ms=play_ms)
    return feedback.dwell_bucket(play_ms).astype(np.int32), bits.astype(np.int32)


def _numbers(path: str, table: pl.DataFrame, name: str, *, least: int, most: int, empty: int) -> np.ndarray:
    # Whole numbers from `least` to `most`, `empty` where there is none or no such column.
    if name not in table.columns:
        return np.full(table.height, empty, np.int64)
    cells = table[name].fill_nan(None) if table[name].dtype.is_float() else table[name]
    number = values.whole_numbers(cells, f"{path}: column {name}")
    wrong = (cells.is_not_null() & ~number.is_between(least, most).fill_null(False)).arg_true()
    if len(wrong):
        row = int(wrong[0])
        raise DataError(f"{path}: row {row}, column {name}: {cells[row]!r} is no whole number from {least} to {most}")
    return number.fill_null(empty).to_numpy()
