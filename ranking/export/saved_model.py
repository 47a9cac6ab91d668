"""The servable ranker: a TensorFlow SavedModel of stock operations, from original ids to candidates in order.

Signature `serving_default`, b requests of histories of any length t, oldest event first, padding anywhere:

    history_item_id      [b, t]  int64 or string, as in the logs; -1 or "" is padding
    history_play_ms      [b, t]  int32, -1 where unknown
    history_<name>       [b, t]  int32 0, 1, or -1 where nobody asked; one for each other feedback that the model reads
    history_surface      [b, t]  int64 or string, as in the logs
    history_timestamp_ms [b, t]  int64, 0 where unknown, else strictly before time_ms
    user_id              [b]     int64 or string; one that is not known, such as -1 or "", is known by the history alone
    platform             [b]     the surface that the candidates are for
    time_ms              [b]     int64, the moment of the request, 0 where unknown
    candidate_item_id    [b, c]  ids, padded alike; c up to max_candidates
    ->  item_id, score, order, probability_<TASK>, each [b, c]: best first; `order` is the place in candidate_item_id.
        Empty places come last, with the padding's id, score 0 and probabilities 0
        unknown_ids      [b]     int32, ids of the history and of the candidates that the item table does not know

Every input has a row for each request, so that servers can batch them; b and c are filled up to a few sizes, each of
which compiles once. The rates of items, creators and clusters are those at the end of the log that the model was
exported with. A surface or platform that the log did not have is an unknown one.

Ids that are not in the item table, and a candidate's second and later places, are ignored: they count as padding. Of a
model exported with --reject_unknown_ids they are refused. What is refused, as a value out of range, is an
InvalidArgumentError that names the input.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from data.feedback import MAX_PACKED, SKIP_BELOW_MS
from data.watch_time import BOUNDED, WATCHED
from nn.tensorflow_graph import EventsRead, IdTable, XlaFunction, check, same_rows
from runtime.errors import DataError

_SMALLEST = 32
_HOUR_MS = 3_600_000


def sizes(max_candidates: int) -> list[int]:
    """The numbers of candidates that are compiled: powers of two from 32, then the maximum; others are filled up."""
    powers = [_SMALLEST << n for n in range(max(max_candidates // _SMALLEST, 1).bit_length())]
    return [*(size for size in powers if size < max_candidates), max_candidates]


class ServedRanker(tf.Module):
    """The graph around a scorer: ids and events to its inputs, probabilities to an order."""

    def __init__(
        self,
        scorer: XlaFunction,
        *,
        length: int,
        tasks: Sequence[str],
        weights: NDArray[np.float64],
        history_feedback: Sequence[str],
        thresholds: NDArray[np.float32],
        rates: NDArray[np.float32],
        item_ids: NDArray[Any],
        user_ids: NDArray[Any],
        surfaces: Sequence[Any],
        max_candidates: int,
        reject_unknown_ids: bool,
    ):
        """Args: scorer, of scorer.py; length T; weights, γ [K]; thresholds [N + 1, 6] ms; rates [N + 1, R];
        item_ids [N] and user_ids [U], the original ones of rows from 1; surfaces, the original ones of codes from 1.
        """
        super().__init__()
        self.items, self.users = _id_table(item_ids, "item_id"), _id_table(user_ids, "user_id")
        self.surface_dtype = tf.string if any(isinstance(one, str) for one in surfaces) else tf.int64
        # The unknown is a key like any other: a log without surfaces has it still, and a table may not be empty.
        known = [unknown_surface(surfaces), *surfaces]
        codes = tf.lookup.KeyValueTensorInitializer(tf.constant(known, self.surface_dtype), tf.range(len(known)))
        self.surfaces = tf.lookup.StaticHashTable(codes, default_value=0)
        self.scorer, self.length, self.tasks = scorer, length, tuple(tasks)
        self.weights = tf.constant(weights, tf.float32)
        self.history_feedback = tuple(history_feedback)
        self.asked = tuple(name for name in history_feedback if name not in WATCHED)
        self.thresholds = tf.Variable(thresholds, trainable=False)
        self.rates = tf.Variable(rates, trainable=False)
        self.sizes, self.reject_unknown_ids = sizes(max_candidates), reject_unknown_ids

    def signature(self) -> Any:
        """The concrete function behind `serving_default`."""

        def rank(**inputs):
            with tf.control_dependencies(self._checks(inputs)):
                history = self.items.lookup(inputs["history_item_id"])  # [b, t]
                candidate = self.items.lookup(inputs["candidate_item_id"])  # [b, c]
            asked = tf.concat([history, candidate], axis=1)
            unknown = tf.math.count_nonzero(asked < 0, axis=1, dtype=tf.int32)  # [b]
            history, candidate = tf.maximum(history, 0), self._once(tf.maximum(candidate, 0), inputs)
            probabilities = self._probabilities(history, candidate, inputs)  # [b, c, K]
            real = candidate > 0
            score = tf.linalg.matvec(probabilities, self.weights)
            last = tf.where(real, score, -np.inf)
            order = tf.argsort(last, axis=1, direction="DESCENDING", stable=True)  # [b, c]
            outputs = {"item_id": self.items.ids_of(candidate), "score": tf.where(real, score, 0.0)}
            for k, task in enumerate(self.tasks):
                outputs[f"probability_{task}"] = tf.where(real, probabilities[..., k], 0.0)
            best_first = {name: tf.gather(one, order, batch_dims=1) for name, one in outputs.items()}
            return {"order": order, "unknown_ids": unknown, **best_first}

        events = {"item_id": self.items.dtype, "play_ms": tf.int32, "surface": self.surface_dtype}
        events |= {"timestamp_ms": tf.int64, **dict.fromkeys(self.asked, tf.int32)}
        specs = [tf.TensorSpec([None, None], dtype, f"history_{name}") for name, dtype in events.items()]
        specs.append(tf.TensorSpec([None, None], self.items.dtype, "candidate_item_id"))
        of_user = {"user_id": self.users.dtype, "platform": self.surface_dtype, "time_ms": tf.int64}
        specs += [tf.TensorSpec([None], dtype, name) for name, dtype in of_user.items()]
        traced = tf.function(rank, autograph=False)
        return traced.get_concrete_function(**{one.name: one for one in specs})

    def _checks(self, inputs):
        columns = [f"history_{name}" for name in ("play_ms", "surface", "timestamp_ms", *self.asked)]
        checks = same_rows(inputs, columns=columns, rows=("candidate_item_id", "user_id", "platform", "time_ms"))
        number = tf.shape(inputs["candidate_item_id"])[1]
        most = self.sizes[-1]
        checks.append(check(number <= most, f"candidate_item_id: more than {most} candidates", number))
        for name in ("history_item_id", "candidate_item_id") if self.reject_unknown_ids else ():
            checks.append(self.items.all_known(inputs[name], name))
        for name in (f"history_{name}" for name in self.asked):
            is_flag = (inputs[name] >= -1) & (inputs[name] <= 1)
            checks.append(check(tf.reduce_all(is_flag), f"{name}: neither 0, 1 nor -1", inputs[name][~is_flag]))
        now = inputs["time_ms"][:, None]
        times = inputs["history_timestamp_ms"]
        # A request whose columns do not fit together has failed above, but its comparison must not fail first.
        with tf.control_dependencies(checks):
            late = (times >= now) & (now > 0) & (times > 0) & (inputs["history_item_id"] != self.items.padding)
            message = "history_timestamp_ms: not before time_ms, and what comes later cannot be known"
            return [check(~tf.reduce_any(late), message, times[late])]

    def _once(self, candidate, inputs):
        # Candidates [b, c] with every item's second and later occurrences refused, or 0.
        order = tf.argsort(candidate, axis=1, stable=True)
        ordered = tf.gather(candidate, order, batch_dims=1)
        again = tf.pad((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] > 0), [[0, 0], [1, 0]])
        again = tf.gather(again, tf.argsort(order, axis=1), batch_dims=1)
        if self.reject_unknown_ids:
            twice = inputs["candidate_item_id"][again]
            with tf.control_dependencies([check(tf.size(twice) == 0, "candidate_item_id: given twice", twice)]):
                return tf.identity(candidate)
        return tf.where(again, 0, candidate)

    def _probabilities(self, history, candidate, inputs):
        # [b, c, K] of rows of the item table.
        last = EventsRead(history > 0, length=self.length)
        item, timestamp_ms = last.take(history), last.take(inputs["history_timestamp_ms"])  # [b, T]
        events = tf.reduce_sum(tf.cast(item > 0, tf.int32), axis=1)  # [b]
        newest = tf.gather(timestamp_ms, tf.maximum(events - 1, 0), batch_dims=1)
        now = inputs["time_ms"]
        gap = tf.where((newest > 0) & (now > 0), tf.cast(now - newest, tf.float64) / 1000, -1.0)
        hour = tf.where(now > 0, 1 + now // _HOUR_MS % 24, 0)
        number = tf.shape(candidate)[1]
        size = tf.gather(self.sizes, tf.searchsorted(self.sizes, number[None]))[0]
        filled = tf.pad(candidate, [[0, 0], [0, size - number]])  # [b, size]
        probabilities = self.scorer.in_buckets(
            item,
            last.take(self._packed(history, inputs)),
            last.take(self.surfaces.lookup(inputs["history_surface"])),
            tf.maximum(self.users.lookup(inputs["user_id"]), 0),
            self.surfaces.lookup(inputs["platform"]),
            tf.cast(hour, tf.int32),
            tf.cast(gap, tf.float32),
            filled,
            tf.gather(self.rates, filled),
        )
        return probabilities[:, :number]

    def _packed(self, history, inputs):
        # As data.feedback.pack: whether each feedback was so, and whether that is known, int32 [b, t].
        play_ms = inputs["history_play_ms"]
        bounds = tf.cast(tf.gather(self.thresholds, history), tf.float64)  # [b, t, 6]; int32 is exact in float64
        longer, bounded = tf.cast(play_ms, tf.float64)[..., None] > bounds, bounds < np.inf
        watched = {name: (bounded[..., k], longer[..., k]) for k, name in enumerate(BOUNDED)}
        watched["GVV"] = tf.ones_like(play_ms, tf.bool), play_ms < SKIP_BELOW_MS
        packed = tf.zeros_like(play_ms)
        for place, name in enumerate(self.history_feedback):
            if name in watched:
                bound, value = watched[name]
                known = bound & (play_ms >= 0)
            else:
                known, value = inputs[f"history_{name}"] >= 0, inputs[f"history_{name}"] == 1
            packed += tf.where(known & value, 1 << place, 0) + tf.where(known, 1 << (place + MAX_PACKED), 0)
        return packed


def unknown_surface(surfaces: Sequence[Any]) -> Any:
    """What stands for an unknown surface in a request: a value that is none of them, of whole numbers one below 0."""
    return "" if any(isinstance(one, str) for one in surfaces) else min([0, *surfaces]) - 1


def _id_table(ids, name):
    try:
        return IdTable(ids)
    except ValueError as error:
        raise DataError(f"{name} {error}, nothing may have it; rename it") from None
