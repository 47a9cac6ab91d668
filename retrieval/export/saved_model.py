"""The servable recommender: a TensorFlow SavedModel from histories of original ids to recommended original ids.

Two are written from one graph. `ExactSearch` scores every item with stock TensorFlow operations and loads in any
TensorFlow Serving; `ScannSearch` searches the ScaNN index and needs `import scann` (or its op library) in the server.

Signature `serving_default`, b requests of histories of any length t, oldest event first, padding anywhere. The model
reads T events of each, the newest and, of a longer history, what was said no to before (data/events_read.py): send all
that there is, or the last T events and the noes before them.

    history_item_id [b, t]   int64 or string, as in the logs; -1 or "" is padding
    history_play_ms [b, t]   int32, -1 where unknown
    history_<name>  [b, t]   int32 0 or 1, one for each feedback that the model reads
    exclude_item_id [b, e]   ids to leave out, padded alike; e may be 0
    k               [b]      int32, 1 .. max_k: how many items each request asks for
    ->  item_id [b, K], score [b, K]  K the largest k; best first; items of the history and excluded ones are never
                             among them. After the k-th place, and where fewer are left, padding with score 0
        unknown_ids [b]      int32, ids of the history and of those to leave out that the item table does not know

Every input has a row for each request, so that servers can batch them. Ids that are not in the item table are ignored,
or, of a model exported with --config.export.reject_unknown_ids, refused. What is refused, as a value out of range, is
an InvalidArgumentError that names the input.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from scann.scann_ops.py import scann_ops

from data import feedback
from data.events_read import Reading
from nn.tensorflow_graph import EventsRead, IdTable, XlaFunction, check, same_rows
from retrieval.export.index import Effort
from runtime.errors import DataError


class Recommender(tf.Module):
    """The graph around a search: ids to indices, events to the tower's inputs, indices to ids."""

    def __init__(
        self,
        tower: XlaFunction,
        search: "Search",
        *,
        reading: Reading,
        item_ids: NDArray[Any],
        input_feedback: Sequence[str],
        max_k: int,
        reject_unknown_ids: bool,
    ):
        """Args: tower, of user_tower.tower; reading, its rule; item_ids [N], original ids of items 1..N."""
        super().__init__()
        try:
            self.items = IdTable(item_ids)
        except ValueError as error:
            raise DataError(f"item_id {error}, no item may have it; rename the item") from None
        self.tower, self.search, self.reading = tower, search, reading
        self.max_k, self.reject_unknown_ids = max_k, reject_unknown_ids
        self.input_feedback = tuple(input_feedback)

    def signature(self) -> Any:
        """The concrete function behind `serving_default`."""

        def recommend(**inputs):
            with tf.control_dependencies(self._checks(inputs)):
                history = self.items.lookup(inputs["history_item_id"])  # [b, t]
                exclude = self.items.lookup(inputs["exclude_item_id"])  # [b, e]
            banned = tf.pad(tf.concat([history, exclude], 1), [[0, 0], [1, 0]])  # and row 0, which is no item
            unknown = tf.math.count_nonzero(banned < 0, axis=1, dtype=tf.int32)  # [b]
            history, banned, k = tf.maximum(history, 0), tf.maximum(banned, 0), inputs["k"]
            queries = self.tower.in_buckets(*self._events_read(history, inputs))  # [b, D]
            rows = tf.shape(k)[0]
            one_at_least = [[0, tf.cast(rows == 0, tf.int32)], [0, 0]]  # a search of no query is none
            most = tf.reduce_max(tf.pad(k, one_at_least[:1], constant_values=1))
            item, score = self.search(tf.pad(queries, one_at_least), tf.pad(banned, one_at_least), most)
            wanted = tf.range(most) < k[:, None]  # [b, K]
            item = tf.where(wanted, item[:rows], 0)
            score = tf.where(item > 0, score[:rows], 0.0)
            return {"item_id": self.items.ids_of(item), "score": score, "unknown_ids": unknown}

        def spec(name, dtype):
            return tf.TensorSpec([None, None], dtype, name=name)

        flags = [f"history_{name}" for name in self.input_feedback]
        specs = [spec(name, self.items.dtype) for name in ("history_item_id", "exclude_item_id")]
        specs += [spec(name, tf.int32) for name in ("history_play_ms", *flags)] + [tf.TensorSpec([None], tf.int32, "k")]
        traced = tf.function(recommend, autograph=False)
        return traced.get_concrete_function(**{one.name: one for one in specs})

    def _checks(self, inputs):
        columns = ["history_play_ms", *(f"history_{name}" for name in self.input_feedback)]
        checks = same_rows(inputs, columns=columns, rows=("exclude_item_id", "k"))
        for name in ("history_item_id", "exclude_item_id") if self.reject_unknown_ids else ():
            checks.append(self.items.all_known(inputs[name], name))
        for name in columns[1:]:
            is_flag = (inputs[name] == 0) | (inputs[name] == 1)
            checks.append(check(tf.reduce_all(is_flag), f"{name}: neither 0 nor 1", inputs[name][~is_flag]))
        k_in_range = (inputs["k"] >= 1) & (inputs["k"] <= self.max_k)
        return [*checks, check(tf.reduce_all(k_in_range), f"k: not in 1..{self.max_k}", inputs["k"])]

    def _events_read(self, row, inputs):
        # What the tower reads of each history: three int32 [b, T], events from the left, zeros after them.
        is_event = row > 0
        play_ms = inputs["history_play_ms"]
        bucket = tf.searchsorted(feedback.DWELL_EDGES_MS, tf.reshape(play_ms, [-1]), side="right")  # [b * t]
        bucket = tf.reshape(bucket, tf.shape(play_ms)) + feedback.DWELL_UNKNOWN + 1  # [b, t]
        bucket = tf.where(play_ms < 0, feedback.DWELL_UNKNOWN, bucket)
        bits = tf.zeros_like(row)
        for name in self.input_feedback:
            bits += tf.bitwise.left_shift(inputs[f"history_{name}"], feedback.BITS[name])
        said_no = tf.bitwise.bitwise_and(bits, self.reading.no_mask) > 0
        read = EventsRead(is_event, said_no, length=self.reading.length, remembered=self.reading.remembered)
        return read.take(row), read.take(bucket), read.take(bits)


class ExactSearch(tf.Module):
    """Scores every item."""

    def __init__(self, item_vectors: NDArray[np.float32]):
        super().__init__()
        self.vectors = tf.Variable(item_vectors, trainable=False)  # [N + 1, D]

    def __call__(self, queries, banned, k):
        """Queries [b, D], rows not to return [b, x] -> rows [b, k] (0: none), scores [b, k]."""
        score = tf.matmul(queries, self.vectors, transpose_b=True)  # [b, N + 1]
        request = tf.broadcast_to(tf.range(tf.shape(banned)[0])[:, None], tf.shape(banned))
        at = tf.stack([request, banned], axis=-1)  # [b, x, 2]
        score = tf.tensor_scatter_nd_update(score, at, tf.fill(tf.shape(banned), -np.inf))
        item, score = _best(score, k)
        return tf.where(tf.math.is_inf(score), 0, item), score


class ScannSearch(tf.Module):
    """Searches the index that lies in a folder: the same one that was measured, not one built again."""

    def __init__(self, folder: Path, *, num_items: int, effort: Effort):
        super().__init__()
        self.num_items, self.effort = num_items, effort
        # In the order of the op; a missing file is an empty scalar.
        self.state = scann_ops.ScannState(
            (
                _serialized(folder / "scann_config.pb"),
                _serialized(folder / "serialized_partitioner.pb"),
                _array(folder / "datapoint_to_token.npy", tf.int32),
                _serialized(folder / "ah_codebook.pb"),
                _array(folder / "hashed_dataset.npy", tf.uint8),
                _array(folder / "int8_dataset.npy", tf.int8),
                _array(folder / "int8_multipliers.npy", tf.float32),
                _array(folder / "dp_norms.npy", tf.float32),
                _array(folder / "dataset.npy", tf.float32),
            )
        )

    def __call__(self, queries, banned, k):
        """As ExactSearch; asks for as many more as are banned, so that k are left."""
        most_banned = tf.reduce_max(tf.math.count_nonzero(banned, axis=1, dtype=tf.int32))
        wanted = tf.minimum(k + tf.maximum(most_banned, 0), self.num_items)
        reorder, leaves = self.effort.at(wanted, minimum=tf.minimum, maximum=tf.maximum)
        searcher = scann_ops.ScannSearcher(self.state.recreate_handle())
        index, score = searcher.search_batched(queries, wanted, reorder, leaves)  # [b, wanted], NaN where too few
        row = tf.ensure_shape(index, [None, None]) + 1
        # By bisection: the comparison of all with all would take gigabytes for some thousands of banned items.
        banned = tf.sort(banned, axis=1)  # [b, x]
        place = tf.minimum(tf.searchsorted(banned, row), tf.shape(banned)[1] - 1)  # [b, wanted]
        is_banned = tf.gather(banned, place, batch_dims=1) == row
        at, score = _best(tf.where(is_banned | tf.math.is_nan(score), -np.inf, score), k)
        return tf.where(tf.math.is_inf(score), 0, tf.gather(row, at, batch_dims=1)), score


Search = ExactSearch | ScannSearch


def _best(score, k):
    # Columns and values of the k highest scores [b, m] -> [b, k], -inf at column 0 where m < k.
    possible = tf.minimum(k, tf.shape(score)[1])
    score, at = tf.math.top_k(score, possible)
    missing = [[0, 0], [0, k - possible]]
    return tf.pad(at, missing), tf.pad(score, missing, constant_values=-np.inf)


def _serialized(path):
    return tf.constant([path.read_bytes()]) if path.exists() else tf.constant("")


def _array(path, dtype):
    return tf.constant(np.load(path)) if path.exists() else tf.zeros((), dtype)
