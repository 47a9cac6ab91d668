"""Parts of the TensorFlow graphs that servers run: ids to rows, last events, a JAX function as one operation, checks.

Stock operations only. What is wrong with a request is an InvalidArgumentError that names the input.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
import tensorflow as tf
from jax.experimental import jax2tf
from numpy.typing import NDArray

from nn.exported import PLATFORMS, Apart, apart

_BUCKETS = [2**n for n in range(31)]
PADDING_ID: dict[tf.DType, Any] = {tf.int64: -1, tf.string: b""}


class IdTable(tf.Module):
    """Original ids, whole numbers or text, and their rows 1..N; row 0 is padding, -1 or "" in a request."""

    def __init__(self, ids: NDArray[Any]):
        """`ids` [N], of rows 1..N. Errors: ValueError where one of them is the id that stands for padding."""
        super().__init__()
        values = tf.constant(ids, tf.int64 if np.issubdtype(ids.dtype, np.integer) else tf.string)
        self.dtype = values.dtype
        self.padding = tf.constant(PADDING_ID[self.dtype], self.dtype)
        reserved = "" if self.dtype == tf.string else -1
        if (ids == reserved).any():
            raise ValueError(f"{reserved!r}: stands for padding in a request")
        self.ids = tf.Variable(tf.concat([self.padding[None], values], 0), trainable=False)  # [N + 1]
        rows = tf.lookup.KeyValueTensorInitializer(values, tf.range(1, len(ids) + 1))
        self.rows = tf.lookup.StaticHashTable(rows, default_value=-1)

    def lookup(self, ids):
        """Rows [...] of ids [...], 0 of padding and -1 of ids that are not here."""
        return tf.where(ids == self.padding, 0, self.rows.lookup(ids))

    def all_known(self, ids, name):
        """An operation that fails where the input called `name` has ids that are not here."""
        unknown = ids[self.lookup(ids) < 0]
        return check(tf.size(unknown) == 0, f"{name}: id not in the item table", unknown)

    def ids_of(self, rows):
        """Ids [...] of rows [...]."""
        return tf.gather(self.ids, rows)


class EventsRead:
    """Takes T events of each history, from the left, in order, zeros after them: the rule of data/events_read.py.

    The newest T − S, and of the older ones the S newest that say no, or others where there are fewer.
    """

    def __init__(self, is_event, said_no=None, *, length, remembered=0):
        """`is_event`, `said_no` [b, t] bool, events oldest first with padding anywhere; `length` T, `remembered` S."""
        self.is_event, self.padding = is_event, [[0, 0], [0, length]]
        # T columns of padding at the end, so that there are always T to take.
        is_event = tf.pad(is_event, self.padding)  # [b, t + T]
        width = tf.shape(is_event)[1]
        age = _counted_from_the_end(is_event)
        newest = age <= length - remembered
        rank = tf.where(newest, age, age + 2 * width)
        if remembered:
            older_no = is_event & ~newest & tf.pad(said_no, self.padding)
            rank = tf.where(older_no & (_counted_from_the_end(older_no) <= remembered), age + width, rank)
        rank = tf.where(is_event, rank, 3 * width)
        chosen = tf.argsort(rank, axis=1, stable=True)[:, :length]  # the events first, the newest before all
        chosen = tf.where(tf.gather(is_event, chosen, batch_dims=1), chosen, width - 1)  # padding, behind the events
        self.at = tf.sort(chosen, axis=1)  # [b, T]

    def take(self, values):
        """Of values [b, t]: [b, T]."""
        values = tf.pad(tf.where(self.is_event, values, tf.zeros((), values.dtype)), self.padding)
        return tf.gather(values, self.at, batch_dims=1)


class XlaFunction(tf.Module):
    """A JAX function as one XLA call whose weights are TensorFlow variables.

    Weights left in the program as constants are copied on each call: 32 ms a request instead of 0.6 with 200,000 items.
    """

    def __init__(
        self,
        function: Apart | Callable[..., jax.Array],
        *inputs: jax.ShapeDtypeStruct,
        variables: Mapping[str, tf.Variable] | None = None,
    ):
        """Args:
        function: of one output, apart from its weights, or closing over them and taking `inputs`, of sizes that may be
          symbolic.
        variables: of weights that another part of the graph has already, by their names.
        """
        super().__init__()
        if not isinstance(function, Apart):
            closed = function
            function = apart(lambda _, *given: closed(*given), {}, *inputs, name="constant")
        inputs = function.inputs
        exported = jax.export.export(jax.jit(function.call), platforms=PLATFORMS)(function.shapes, *inputs)
        there = variables or {}
        self.names = tuple(function.weights)
        self.weights = [
            there[name] if name in there else tf.Variable(np.asarray(one), trainable=False)
            for name, one in function.weights.items()
        ]
        sizes = [[size if isinstance(size, int) else None for size in one.shape] for one in inputs]
        self.call = jax2tf.convert(
            exported.call,
            polymorphic_shapes=[None, *(f"({', '.join(map(str, one.shape))})" for one in inputs)],
            with_gradient=False,
            native_serialization_platforms=PLATFORMS,
        )
        self.sizes = sizes

    def __call__(self, *inputs):
        """As the function."""
        shaped = (tf.ensure_shape(one, sizes) for one, sizes in zip(inputs, self.sizes, strict=True))
        return self.call(dict(zip(self.names, self.weights, strict=True)), *shaped)

    def in_buckets(self, *inputs):
        """As the function, of inputs [b, ...] padded to a power of two rows: few sizes, and each compiles but once."""
        rows = tf.shape(inputs[0])[0]
        size = tf.gather(_BUCKETS, tf.searchsorted(_BUCKETS, tf.maximum(rows, 1)[None])[0])
        padded = (tf.pad(one, [[0, size - rows], *[[0, 0]] * (one.shape.rank - 1)]) for one in inputs)
        return self(*padded)[:rows]


def _counted_from_the_end(mask):
    # [b, t] bool -> int32: how many are true from here to the end.
    return tf.cumsum(tf.cast(mask, tf.int32), axis=1, reverse=True)


def check(condition, message, values):
    """An operation that fails with `message` and some of `values` where `condition` is false."""
    return tf.debugging.Assert(condition, [message, values], summarize=3)


def same_rows(inputs, *, columns, rows):
    """Operations that fail where one of the inputs `columns` has another shape than history_item_id [b, t], or one of
    `rows` other than b rows."""
    shape = tf.shape(inputs["history_item_id"])
    of_events = [
        check(tf.reduce_all(tf.shape(inputs[name]) == shape), f"{name}: shape is not history_item_id's", shape)
        for name in columns
    ]
    of_requests = [
        check(tf.shape(inputs[name])[0] == shape[0], f"{name}: not one row for each row of history_item_id", shape)
        for name in rows
    ]
    return of_events + of_requests


def save(module: tf.Module, signature: Any, folder: Path) -> None:
    """Writes `module` as a SavedModel with the one signature `serving_default`, a concrete function."""
    tf.saved_model.save(module, str(folder), signatures={"serving_default": signature})
