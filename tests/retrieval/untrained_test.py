"""What no training event shows has no say: the first dislike of a log without any, a new item, an unknown play time."""

import numpy as np
import pytest

from configs.retrieval import get_config
from data import feedback
from data.feedback import mask_of
from retrieval import checkpoint
from retrieval import run as training
from tests.logs import random_timelines

LONG = int(feedback.dwell_bucket(90_000))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Towers with the memory of dislikes, on a log without dislikes and without long plays.

    Alone: what counts do after a dislike is a rule, that no log has to teach them.
    """
    folder = tmp_path_factory.mktemp("untrained")
    options = {"without": ("dislike",), "longest_play_ms": 25_000, "unseen": 8}  # items 13 to 20
    log = random_timelines.write(folder / "log", lengths=np.full(24, 20), **options)
    config = get_config("tiny,dislike_input_and_label")
    config.update({"dim": 6, "hidden": 7, "length": 16, "batch_size": 2, "num_epochs": 4, "warmup_steps": 2})
    config.update({"learning_rate": 0.03, "positive": ("long_view", "like"), "patience": 10, "counted": ()})
    training.train(config, data=str(log.path), workdir=str(folder / "run"))
    return checkpoint.load(folder / "run", log)


def queries(model, item, dwell=3, bits=0):
    """After three known events and one more, [D]."""
    row = {"item": [1, 2, 3, item], "dwell": [3, 4, 5, dwell], "feedback": [0, 4, 0, bits]}
    padded = {name: np.array([values + [0] * 12], np.int32) for name, values in row.items()}
    return np.asarray(model.encode(padded))[0]


def test_the_first_dislike_of_a_log_without_any_changes_nothing(model):
    np.testing.assert_array_equal(queries(model, 5, bits=mask_of(["dislike"])), queries(model, 5))
    assert np.abs(queries(model, 5, bits=mask_of(["like"])) - queries(model, 5)).max() > 1e-3  # a like, that it knows


def test_play_times_that_nobody_had_are_one_and_the_same(model):
    longest = feedback.NUM_DWELL_BUCKETS - 1
    assert longest - 1 == LONG
    np.testing.assert_array_equal(queries(model, 5, dwell=LONG), queries(model, 5, dwell=longest))
    assert np.abs(queries(model, 5, dwell=3) - queries(model, 5, dwell=4)).max() > 1e-4


def test_a_new_item_is_its_content(model):
    # Creator and cluster go by the number mod 4: 13 and 17 are alike, and so is 9, which was met in training.
    np.testing.assert_array_equal(queries(model, 13), queries(model, 17))
    np.testing.assert_array_equal(model.item_vectors()[13], model.item_vectors()[17])
    assert np.abs(queries(model, 13) - queries(model, 9)).max() > 1e-4
