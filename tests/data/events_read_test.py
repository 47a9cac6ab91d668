"""Which events are read: padded rows, log positions and the served graph against the rule as a loop."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest
import tensorflow as tf

from data.events_read import Reader, Reading, events_read
from nn.tensorflow_graph import EventsRead

NO = 64


def by_hand(says_no, length, remembered):
    """Indices of the events read of one history."""
    first = max(0, len(says_no) - (length - remembered))  # of the newest
    older = range(first - 1, -1, -1)
    noes = [i for i in older if says_no[i]][:remembered]
    others = [i for i in older if i not in noes][: remembered - len(noes)]
    return sorted([*noes, *others, *range(first, len(says_no))])


def filled(rows, length):
    return np.array([row + [-1] * (length - len(row)) for row in rows])


@pytest.mark.parametrize(("length", "remembered"), [(1, 0), (4, 0), (4, 1), (4, 4), (6, 2), (9, 4)])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_every_form_of_the_rule_is_the_rule(length, remembered, share):
    rng = np.random.default_rng(0)
    reading = Reading(length, remembered, NO)
    lengths = np.array([0, 1, length - 1, length, length + 1, 30])
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    bits = np.where(rng.random(offsets[-1]) < share, NO, 0).astype(np.uint16)
    mine = [bits[a:b] > 0 for a, b in itertools.pairwise(offsets)]
    expected = filled([by_hand(says_no, length, remembered) for says_no in mine], length)

    positions = Reader(bits, reading).positions(offsets[:-1], offsets[1:])
    np.testing.assert_array_equal(positions, np.where(expected >= 0, expected + offsets[:-1, None], -1))

    # The same histories in rows, with padding at the end and in between.
    item, said, at = np.zeros((3, len(lengths), 40), np.int32)
    for row, says_no in enumerate(mine):
        columns = np.sort(rng.permutation(40)[: len(says_no)])
        item[row, columns], said[row, columns] = 1 + np.arange(len(says_no)), NO * says_no
        at[row, : len(says_no)] = columns
    columns = np.where(expected >= 0, np.take_along_axis(at, np.maximum(expected, 0), axis=1), -1)
    np.testing.assert_array_equal(events_read(item, said, reading), columns)
    np.testing.assert_array_equal(events_read(jnp.asarray(item), jnp.asarray(said), reading), columns)
    read = EventsRead(tf.constant(item > 0), tf.constant(said > 0), length=length, remembered=remembered)
    np.testing.assert_array_equal(read.take(tf.constant(item)), expected + 1)


def test_a_no_is_read_for_as_long_as_there_are_not_as_many_later_ones():
    item = np.ones((1, 100), np.int32)
    bits = np.zeros((1, 100), np.int32)
    bits[0, [3, 50]] = NO
    assert 3 in events_read(item, bits, Reading(10, 2, NO))
    assert 3 not in events_read(item, bits, Reading(10, 1, NO))
    assert 3 not in events_read(item, bits, Reading(10))


def test_more_than_is_read_cannot_be_remembered():
    with pytest.raises(ValueError, match="remembered=5"):
        Reading(4, 5, NO)
