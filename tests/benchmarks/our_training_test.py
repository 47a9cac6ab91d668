"""What benchmarks time of a training: laid out as retrieval.train lays it out, its batches over and over."""

import itertools
import subprocess
import sys

import jax
import pytest

from benchmarks.shared.our_training import endless, labels, started, training
from configs.retrieval import get_config
from data.timelines import Timelines
from retrieval.run import filled_in
from runtime.errors import UsageError
from tests.helpers.command_line import ROOT
from tests.logs import random_timelines
from training.compilation import set_cpu_devices


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return random_timelines.write(tmp_path_factory.mktemp("log") / "timelines", lengths=[40, 30, 20])


def config_of(**changes):
    config = get_config("tiny")
    config.update({"num_epochs": 1, "batch_size": 2, "counted": (), "trend_days": (), **changes})
    return config


def print_layout(path):
    """What the subprocess of the next test runs."""
    set_cpu_devices(2)
    parts = training(config_of(mesh={"data": 1, "model": 2}), Timelines.open(path))
    state, _ = started(parts, seed=0)
    for name, leaf in jax.tree_util.tree_leaves_with_path(state.params):
        print("split:", "id_embedding" in jax.tree_util.keystr(name), not leaf.sharding.is_fully_replicated)


def test_the_table_of_ids_is_split_where_the_mesh_says_so(log):
    code = f"from tests.benchmarks.our_training_test import print_layout as f; f({str(log.path)!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    found = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("split:")]
    assert ["True", "True"] in found
    assert all(is_table == is_split for is_table, is_split in found)


def test_batches_come_over_and_over_with_their_labels(log):
    parts = training(config_of(), log)
    epoch = len(parts.batches)
    counted = [number for number, _ in itertools.islice(endless(parts, labels), 2 * epoch)]
    assert counted[:epoch] == counted[epoch:]
    assert sum(counted[:epoch]) == parts.batches.labels_per_epoch


def test_touched_rows_are_not_timed_as_all_rows(log):
    with pytest.raises(UsageError, match=r"--config\.touched_rows=True: not timed here; see benchmarks\.large_corpus"):
        training(config_of(touched_rows=True, softmax="uniform"), log)


def test_in_a_log_without_likes_the_model_reads_what_retrieval_train_has_it_read(tmp_path):
    without = {"without": ("like", "long_view"), "longest_play_ms": 0}
    log = random_timelines.write(tmp_path / "timelines", lengths=[40, 30, 20], **without)
    asked, filled = (training(config, log).init for config in (config_of(), filled_in(config_of(), log)))
    key = jax.random.key(0)
    assert filled_in(config_of(), log).input_feedback != tuple(config_of().input_feedback)
    assert jax.eval_shape(asked, key) == jax.eval_shape(filled, key)
