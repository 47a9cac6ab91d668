"""Rows in chunks of one size: nothing is lost, added or put in another order."""

import numpy as np
import pytest

from training.chunks import by_chunks, in_chunks


def test_rows_become_chunks_filled_up_with_zeros():
    chunks = in_chunks({"x": np.arange(1, 6), "y": np.ones((5, 2))}, 3)
    np.testing.assert_array_equal(chunks["x"], [[1, 2, 3], [4, 5, 0]])
    assert chunks["y"].shape == (2, 3, 2)
    assert chunks["y"].sum() == 5 * 2


@pytest.mark.parametrize(("rows", "asked"), [(2, [3]), (3, [3]), (7, [3, 3, 3])])
def test_a_function_is_asked_for_one_number_of_rows(rows, asked):
    sizes = []

    def function(chunk):
        sizes.append(len(chunk))
        return {"doubled": 2 * chunk, "pairs": np.stack([chunk, -chunk], axis=1)}

    answers = by_chunks(function, np.arange(10, 10 + rows), 3)
    assert sizes == asked
    np.testing.assert_array_equal(answers["doubled"], 2 * np.arange(10, 10 + rows))
    np.testing.assert_array_equal(answers["pairs"][:, 1], -np.arange(10, 10 + rows))
