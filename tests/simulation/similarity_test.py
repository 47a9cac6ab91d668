"""What counts as similar, and whose vectors may say so."""

import dataclasses

import numpy as np
import polars as pl
import pytest

from data.events_read import Reading
from runtime.errors import UsageError
from simulation.counterfactual.similarity import (
    centred,
    cosine_of,
    covered_of,
    independent_vectors,
    measured,
    measures,
    share_of,
)
from simulation.exported.recommender import Recommender

LABELS = np.array([0, 1, 1, 2, 0])
VECTORS = np.array([[0, 0], [1, 0], [3, 4], [0, -2], [0, 0]], np.float32)


def test_cosines_with_the_last_item_are_averaged_over_the_slate():
    # Unit vectors of items 1, 2, 3: (1, 0), (.6, .8), (0, −1); item 4 is unknown.
    slates, last = np.array([[1, 2, 3, 4], [2, 2, 2, 2], [1, 2, 3, 3]]), np.array([1, 3, 4])
    expected = [(1 + 0.6 + 0 + 0) / 4, -0.8, np.nan]
    np.testing.assert_allclose(cosine_of(VECTORS)(slates, last), expected, rtol=1e-6)
    np.testing.assert_allclose(cosine_of(7 * VECTORS)(slates, last), expected, rtol=1e-6)


def test_what_is_not_valid_has_no_similarity():
    slates, valid = np.array([[[1], [3]], [[2], [3]]]), np.array([[True, True], [True, False]])
    found = measured({"content": share_of(LABELS)}, slates, np.array([2, 2]), valid)
    np.testing.assert_array_equal(found["content"], [[1.0, 0.0], [1.0, np.nan]])


def test_what_an_aversion_covers_is_the_share_of_reaches_below_the_cosine():
    vectors = np.array([[0, 0], [1, 0], [0.6, 0.8], [0, 1], [0, 0]])
    covered = covered_of(vectors, np.array([0.9, 0.5, 0.6]))
    # Cosines with item 1: 1 holds all three reaches, .6 two of them, 0 none; what is unknown is in no cap.
    slates = np.array([[1, 2, 3, 4], [2, 2, 2, 2], [1, 2, 3, 3]])
    np.testing.assert_allclose(covered(slates, np.array([1, 1, 4])), [(1 + 2 / 3 + 0 + 0) / 4, 2 / 3, np.nan])


def test_measures_are_those_that_the_table_knows():
    items = pl.DataFrame({"cluster": LABELS, "creator": 0 * LABELS})
    assert measures(items).keys() == {"content"}
    assert measures(items, VECTORS).keys() == {"content", "vectors"}
    assert measures(items.drop("cluster"), VECTORS).keys() == {"vectors"}
    assert measures(items.drop("cluster"), embeddings=VECTORS).keys() == {"embedding"}
    assert measures(items, truth=share_of(LABELS)).keys() == {"content", "truth"}
    assert measures(items, embeddings=0 * VECTORS).keys() == {"content"}  # of no item
    with pytest.raises(UsageError, match=r"neither cluster nor creator .* give --similarity_vectors"):
        measures(items.drop("cluster"))


def test_embeddings_are_compared_less_what_they_all_have_in_common():
    # Two embeddings side by side, of 2 numbers and of 1; item 4 has none of the first, item 1 none of the second.
    embeddings = np.array([[0, 0, 0], [0, 2, 0], [3, 4, 5], [1, 0, -2], [0, 0, 7]], np.float32)
    # Directions (0, 1), (.6, .8), (1, 0), whose mean is (1.6, 1.8) / 3; and 1, -1, 1, whose mean is 1 / 3.
    x, y = 1.6 / 3, 1.8 / 3
    expected = [[0, 0, 0], [-x, 1 - y, 0], [0.6 - x, 0.8 - y, 2 / 3], [1 - x, -y, -4 / 3], [0, 0, 2 / 3]]
    np.testing.assert_allclose(centred(embeddings, (2, 1)), expected, atol=1e-6)
    assert not centred(0 * embeddings, (2, 1)).any()


def recommender(vectors=VECTORS, **fields) -> Recommender:
    known = {"fingerprint": "one", "vocabulary_hash": "x", "checkpoint": "run 1"} | fields
    return Recommender(lambda b: b, lambda *state: state, vectors, pl.DataFrame(), reading=Reading(8), **known)


def test_vectors_are_another_models_of_the_same_items():
    ours, theirs = recommender(), 2 * VECTORS
    another = recommender(theirs, checkpoint="run 2")
    assert independent_vectors(ours, another) is theirs
    # Whose runs are not known is told by the vectors.
    assert independent_vectors(recommender(checkpoint=""), recommender(theirs, checkpoint="")) is theirs
    with pytest.raises(UsageError, match="a model of other items than --recommender"):
        independent_vectors(ours, dataclasses.replace(another, vocabulary_hash="y"))
    with pytest.raises(UsageError, match="a model of other items"):
        independent_vectors(ours, dataclasses.replace(another, item_vectors=theirs[:4]))


@pytest.mark.parametrize(
    "again",
    [
        recommender(),
        recommender(2 * VECTORS, fingerprint="exported again, elsewhere"),
        recommender(fingerprint="two", checkpoint=""),
    ],
)
def test_a_second_export_of_the_same_model_is_not_independent(again):
    with pytest.raises(UsageError, match="the recommender itself"):
        independent_vectors(recommender(), again)
