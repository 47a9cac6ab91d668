"""Scores some queries at a time: all of them, in order, and none that is no score."""

import numpy as np
import pytest

from data import scored
from runtime.errors import DataError


def ask(score, size=5):
    return list(scored.scored(score, size, columns=4, label="gru", unit="user"))


def test_every_query_once_in_order(monkeypatch):
    monkeypatch.setattr(scored, "_HELD", 2 * 4)  # two queries at a time
    table = np.arange(20.0).reshape(5, 4)
    parts = ask(lambda rows: table[rows])
    assert [rows for rows, _ in parts] == [slice(0, 2), slice(2, 4), slice(4, 5)]
    np.testing.assert_array_equal(np.concatenate([scores for _, scores in parts]), table)


def test_what_is_no_score_is_refused_and_padding_may_be_anything():
    padding = np.zeros((5, 4))
    padding[:, 0] = np.nan
    assert len(ask(lambda rows: padding[rows])) == 1
    padding[3, 2] = np.inf
    with pytest.raises(DataError, match="gru: a score is not finite; the model has diverged"):
        ask(lambda rows: padding[rows])
    with pytest.raises(ValueError, match=r"scores \(5, 3\) where \[queries, items \+ 1\] is \(5, 4\)"):
        ask(lambda rows: np.zeros((5, 3)))
