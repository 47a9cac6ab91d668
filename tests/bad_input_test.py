"""Wrong folders, damaged files and mistyped names, given to the binaries as a user does: a status and one line."""

import json
import shutil

import numpy as np
import pytest

from configs.retrieval import get_config
from retrieval.checkpoint import identity
from runtime.workdir import CONFIG, METRICS
from tests.helpers import command_line
from tests.helpers import fake_recommender as fake
from tests.logs import random_timelines
from training.saving.checkpoints import CHECKPOINTS

NUM_ITEMS = 20
TRAIN = ["retrieval.train", "--config=configs/retrieval.py:tiny", "--workdir={folder}/new"]
EVALUATE = ["retrieval.evaluate", "--config=configs/retrieval.py:tiny", "--workdir={folder}/new"]
EXPORT = ["retrieval.export", "--config=configs/retrieval.py:tiny", "--workdir={folder}/new"]
COUNTERFACTUAL = [
    "simulation.counterfactual",
    "--config=configs/counterfactual.py:tiny",
    "--workdir={folder}/new",
]
PIPELINE = ["pipelines.run", "--config=configs/pipeline.py:tiny"]

# Name -> command, exit status, what is wrong, what to do about it.
MISTAKES = {
    "train on nothing": ([*TRAIN, "--data={folder}/none"], 2, "--data={folder}/none: no timelines", "give the folder"),
    "train on a recommender": (
        [*TRAIN, "--data={folder}/recommender"],
        2,
        "--data={folder}/recommender: holds 'recommender', not 'timelines'",
        "give the right folder",
    ),
    "train on a truncated file": (
        [*TRAIN, "--data={folder}/truncated"],
        3,
        "truncated/item.npy: ",
        "truncated or altered; write the timelines again",
    ),
    "train into a file": (
        [*TRAIN, "--data={folder}/timelines", "--workdir={folder}/file/run"],
        2,
        "{folder}/file/run: a part of the path is a file",
        "check the path",
    ),
    "train without data": (TRAIN, 2, "--data", "--help"),
    "evaluate nothing": (
        [*EVALUATE, "--data={folder}/timelines", "--checkpoint={folder}/none"],
        2,
        "--checkpoint={folder}/none: no complete training run",
        "run retrieval.train on it first",
    ),
    "evaluate half a run": (
        [*EVALUATE, "--data={folder}/timelines", "--checkpoint={folder}/half"],
        2,
        "--checkpoint={folder}/half: no complete training run",
        "run retrieval.train on it first",
    ),
    "evaluate a run without checkpoints": (
        [*EVALUATE, "--data={folder}/timelines", "--checkpoint={folder}/empty"],
        2,
        "{folder}/empty/checkpoints: no checkpoint here",
        "give the folder of a training run",
    ),
    "evaluate on other items": (
        [*EVALUATE, "--data={folder}/others", "--checkpoint={folder}/empty"],
        2,
        "--checkpoint={folder}/empty: trained on other items than --data={folder}/others",
        "give its own",
    ),
    "evaluate an unknown split": (
        [*EVALUATE, "--data={folder}/timelines", "--checkpoint={folder}/empty", "--split=train"],
        2,
        "--split=train",
        "valid|test",
    ),
    "export half a run": (
        [*EXPORT, "--data={folder}/timelines", "--checkpoint={folder}/half"],
        2,
        "--checkpoint={folder}/half: no complete training run",
        "run retrieval.train on it first",
    ),
    "export with other items": (
        [*EXPORT, "--data={folder}/others", "--checkpoint={folder}/empty"],
        2,
        "--checkpoint={folder}/empty: trained on other items than --data={folder}/others",
        "give its own",
    ),
    "export without a checkpoint": ([*EXPORT, "--data={folder}/timelines"], 2, "--checkpoint is required", "--help"),
    "fewer items than a slate": (
        [*COUNTERFACTUAL, "--recommender={folder}/recommender", "--config.slate_size=15"],
        2,
        f"--config.slate_size=15: a slate beside k=8 consumed items needs 23 items, the recommender has {NUM_ITEMS}",
        "use a smaller one",
    ),
    "a truncated recommender": (
        [*COUNTERFACTUAL, "--recommender={folder}/cut"],
        3,
        "{folder}/cut/item_vectors.npy: ",
        "truncated or altered; write the recommender again",
    ),
    "timelines for a recommender": (
        [*COUNTERFACTUAL, "--recommender={folder}/timelines"],
        2,
        "--recommender={folder}/timelines: holds 'timelines', not 'recommender'",
        "give the right folder",
    ),
    "a recommender of another version": (
        [*COUNTERFACTUAL, "--recommender={folder}/older"],
        2,
        "--recommender={folder}/older: recommender format 1, this code reads 2",
        "write it again",
    ),
    "an unknown action": (
        [*COUNTERFACTUAL, "--recommender={folder}/recommender", "--config.branches=('long_watch+hate',)"],
        2,
        "action 'long_watch+hate': 'hate' is not known",
        "write one of skip, quit_early",
    ),
    "a history longer than the model reads": (
        [*COUNTERFACTUAL, "--recommender={folder}/recommender", "--config.k=17"],
        2,
        "--config.k=17: the recommender reads the last 16 events",
        "use --config.k=16 or less",
    ),
    "a replay of other items": (
        [*COUNTERFACTUAL, "--recommender={folder}/recommender", "--data={folder}/others", "--config.slate_size=5"],
        2,
        "--data={folder}/others: other items than the recommender was trained on",
        "give the timelines",
    ),
    "vectors of the model itself": (
        [
            *COUNTERFACTUAL,
            "--recommender={folder}/recommender",
            "--similarity_vectors={folder}/recommender",
            "--config.slate_size=5",
        ],
        2,
        "--similarity_vectors: the recommender itself",
        "give a model that is independent",
    ),
    "no histories": (
        [
            *COUNTERFACTUAL,
            "--recommender={folder}/recommender",
            "--histories={folder}/none.parquet",
            "--config.slate_size=5",
        ],
        2,
        "--histories={folder}/none.parquet: no such file",
        "give a Parquet file",
    ),
    "no world": (
        [*COUNTERFACTUAL, "--recommender={folder}/recommender", "--world={folder}/none", "--config.slate_size=5"],
        2,
        "--world={folder}/none: no truth/ here",
        "give the workdir of a simulation.world",
    ),
    "two pasts": (
        [*COUNTERFACTUAL, "--recommender={folder}/recommender", "--world={folder}/none", "--data={folder}/others"],
        2,
        "--world and --data: users have one past",
        "give one of them",
    ),
    "a gate without its reference": (
        [*COUNTERFACTUAL, "--recommender={folder}/recommender", "--max_recall_loss=0.02", "--evaluation=m.json"],
        2,
        "--reference_evaluation is required with --max_recall_loss",
        "a metrics.json of retrieval.evaluate",
    ),
    "measure into a file": (
        [*COUNTERFACTUAL, "--recommender={folder}/recommender", "--workdir={folder}/file/run"],
        2,
        "{folder}/file/run: a part of the path is a file",
        "check the path",
    ),
    "an unknown stage": (
        [*PIPELINE, "--workdir={folder}/pipeline", "--only=trian"],
        2,
        "--only=trian: no such stage",
        "there are world, prepare",
    ),
    "a pipeline in a file": (
        [*PIPELINE, "--workdir={folder}/file/run"],
        2,
        "{folder}/file/run: a part of the path is a file",
        "check the path",
    ),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What the commands are given: good and damaged artifacts, and training runs that are not whole."""
    folder = tmp_path_factory.mktemp("inputs")
    log = random_timelines.write(folder / "timelines", num_items=NUM_ITEMS)
    random_timelines.write(folder / "others", num_items=NUM_ITEMS, vocabulary_hash="y")
    vectors = np.eye(NUM_ITEMS + 1, 4, dtype=np.float32)
    group = np.arange(NUM_ITEMS + 1) % 4
    for name, version in (("recommender", 2), ("older", 1)):
        fake.write(
            folder / name,
            vectors=vectors,
            items=fake.item_table(group, group),
            tower=fake.sum_tower(vectors, sees_dislikes=True),
            version=version,
            vocabulary_hash="x",
        )
    for whole, damaged, name in (("timelines", "truncated", "item.npy"), ("recommender", "cut", "item_vectors.npy")):
        shutil.copytree(folder / whole, folder / damaged)
        with open(folder / damaged / name, "r+b") as file:
            file.truncate(100)
    for run in ("half", "empty"):
        (folder / run / CHECKPOINTS).mkdir(parents=True)
        (folder / run / CONFIG).write_text(json.dumps(identity(get_config("tiny"), log)))
    (folder / "empty" / METRICS).write_text("{}")
    (folder / "file").write_text("")
    return folder


@pytest.fixture(scope="module")
def ended(folder):
    commands = {
        name: [word.replace("{folder}", str(folder)) for word in command] for name, (command, *_) in MISTAKES.items()
    }
    preload = (
        "retrieval.run",
        "retrieval.full_corpus",
        "retrieval.export.folder",
        "simulation.counterfactual.measurement",
    )
    return command_line.run(commands, preload=preload)


@pytest.mark.parametrize("name", MISTAKES)
def test_a_status_and_one_line_that_names_the_thing_and_a_remedy(ended, folder, name):
    _, status, wrong, remedy = MISTAKES[name]
    done = ended[name]
    assert done.status == status, done.stderr
    assert wrong.replace("{folder}", str(folder)) in done.stderr
    assert remedy in done.stderr
    assert done.stderr.count("\n") == 1
