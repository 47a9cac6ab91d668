"""Settings that make no sense are refused in one line before anything is written; odd ones that make sense train."""

import json
import math

import numpy as np
import pytest

from ranking import run as ranking
from retrieval import checkpoint
from retrieval import run as retrieval
from runtime.errors import UsageError
from satisfaction import run as satisfaction
from tests.helpers.event_by_event import last_queries
from tests.logs import random_timelines
from tests.ranking import training_test as ranking_training_test
from tests.retrieval import training_test as retrieval_training_test
from tests.satisfaction import training_test as satisfaction_training_test
from training.compilation import set_cpu_devices

TRAIN = {
    "retrieval": (retrieval.train, retrieval_training_test.config_of),
    "ranking": (ranking.train, ranking_training_test.config_of),
    "satisfaction": (satisfaction.train, satisfaction_training_test.config_of),
}

# What every stage's optimisation refuses, and in which words.
OPTIMISATION = {
    "learning_rate": [(-1.0, "finite and above 0"), (0.0, "finite and above 0"), (math.nan, "finite and above 0")],
    "clip_norm": [(0.0, "finite and above 0"), (-1.0, "finite and above 0")],
    "weight_decay": [(-0.1, "finite and not negative"), (math.inf, "finite and not negative")],
    "final_fraction": [(-0.1, "from 0 to 1"), (1.5, "from 0 to 1")],
    "dropout": [(1.0, "at least 0 and below 1"), (-0.1, "at least 0 and below 1")],
    "batch_size": [(0, "at least 1")],
    "patience": [(0, "at least 1"), (-1, "at least 1")],
}
EPOCHS = {"num_epochs": [(0, "at least 1")], "warmup_steps": [(-1, "a whole number, 0 or more")]}
STEPS = {"num_steps": [(0, "at least 1")], "eval_every": [(0, "at least 1")]}
RUN = {"seed": [(-1, "a whole number, 0 or more")], "save_every": [(0, "at least 1")]}
SETTINGS: dict[tuple[str, str], dict] = {
    ("retrieval", ""): OPTIMISATION | EPOCHS | RUN | {"length": [(1, "at least 2 positions")]},
    ("ranking", ""): OPTIMISATION | EPOCHS | RUN | {"feature_dropout": [(1.0, "at least 0 and below 1")]},
    ("satisfaction", ""): RUN,
    ("satisfaction", "base"): OPTIMISATION | EPOCHS | {"length": [(1, "at least 2 positions")]},
    ("satisfaction", "propensity"): OPTIMISATION | STEPS,
    ("satisfaction", "satisfaction"): OPTIMISATION | STEPS | {"members": [(0, "at least 1")]},
    ("satisfaction", "doubly_robust"): OPTIMISATION | STEPS,
    ("satisfaction", "align"): OPTIMISATION
    | EPOCHS
    | {
        "gru_learning_rate": [(0.0, "finite and above 0")],
        "length": [(1, "at least 2 positions")],
        "click_loss": [("hinge", "one of bce, exact, sampled")],
        "label_correction": [((0.5, 0.0), "both above 0"), ((0.5,), "the two parameters of a beta distribution")],
    },
}
REFUSED = [
    (stage, {part: {name: value}} if part else {name: value}, ".".join([part] * bool(part) + [name]), words)
    for (stage, part), names in SETTINGS.items()
    for name, values in names.items()
    for value, words in values
]
REFUSED += [
    ("retrieval", {"excluded_feedback": ("love",)}, "excluded_feedback", "no feedback 'love'"),
    ("retrieval", {"memory_feedback": ("love",)}, "memory_feedback", "no feedback 'love'"),
    ("retrieval", {"input_feedback": (), "memory_feedback": ("dislike",)}, "memory_feedback", "part of input_feedback"),
    ("retrieval", {"input_feedback": ("like", "like")}, "input_feedback", "name each once"),
    ("retrieval", {"positive": ("like",), "negative": ("like",)}, "negative", "nothing is left to recommend"),
    ("retrieval", {"positive_weight": 0.0}, "positive_weight", "finite and above 0"),
    ("retrieval", {"negative_weight": -5.0}, "negative_weight", "finite and not negative"),
    ("retrieval", {"reinforce_top_k": 0}, "reinforce_top_k", "at least 1"),
    ("retrieval", {"reinforce_weight_cap": 0.0}, "reinforce_weight_cap", "finite and above 0"),
    ("retrieval", {"objective": "bpr"}, "objective", "one of not_to_recommend, "),
    ("retrieval", {"train_on": ()}, "train_on", "('train',) or ('train', 'valid')"),
    ("retrieval", {"mesh": {"data": 0, "model": 1}}, "mesh", "a mesh of 0 x 1"),
    ("ranking", {"history_feedback": ()}, "history_feedback", "from 1 to 15 kinds"),
    ("ranking", {"history_feedback": ("EVV", "EVV")}, "history_feedback", "each once"),
    ("ranking", {"hidden": ()}, "hidden", "1 layers or more"),
    ("ranking", {"hidden": (8, 0)}, "hidden", "each of at least 1 unit"),
    ("ranking", {"tower": (0,)}, "tower", "each of at least 1 unit"),
    ("ranking", {"blocks": -1}, "blocks", "a whole number, 0 or more"),
    ("ranking", {"experts": 0}, "experts", "must be at least 1"),
    ("ranking", {"slots": -1}, "slots", "a whole number, 0 or more"),
    ("ranking", {"heads": 0}, "heads", "at least 1"),
    ("ranking", {"user_decay": -1.0}, "user_decay", "finite and not negative"),
]


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return random_timelines.write(tmp_path_factory.mktemp("log") / "timelines")


@pytest.mark.parametrize(("stage", "options", "flag", "words"), REFUSED)
def test_refused_before_anything_is_written(log, tmp_path, stage, options, flag, words):
    train, config_of = TRAIN[stage]
    with pytest.raises(UsageError) as raised:
        train(config_of(**options), data=str(log.path), workdir=str(tmp_path / "workdir"))
    assert str(raised.value).startswith(f"--config.{flag}")
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "workdir").exists()


def test_no_cpu_devices():
    with pytest.raises(UsageError, match=r"--config\.cpu_devices=0: must be at least 1"):
        set_cpu_devices(0)


def test_a_model_that_reads_no_feedback_trains_and_steps_as_it_encodes(log, tmp_path):
    # The smallest sizes, more warm-up than steps, a block above the corpus: odd, and all right.
    options = {"input_feedback": (), "memory_feedback": (), "excluded_feedback": ("dislike",), "negative": ()}
    options |= {"dim": 1, "hidden": 1, "length": 2, "block_size": 10**6, "warmup_steps": 1000, "patience": 1}
    config = retrieval_training_test.config_of(**options, num_epochs=1, batch_size=8, eval_users=1)
    retrieval.train(config, data=str(log.path), workdir=str(tmp_path))
    assert json.loads((tmp_path / "metrics.json").read_text())["steps"] >= 1
    model = checkpoint.load(tmp_path, log)
    assert model.input_feedback == ("dislike",)
    events = {"item": [[3, 5]], "dwell": [[1, 2]], "feedback": [[4, 1]]}
    events = {name: np.asarray(values, np.int32) for name, values in events.items()}
    np.testing.assert_allclose(last_queries(model, events), model.encode(events), rtol=1e-5, atol=1e-6)
