"""Workdirs: one run each, resumed by the same config alone."""

import json

import pytest

from runtime.artifact import write_json
from runtime.errors import DataError, UsageError
from runtime.workdir import CONFIG, METRICS, is_complete, open_workdir

RUN = {"config": {"dim": 3, "names": ("a", "b"), "rates": {1: 0.5}}, "dataset": "x"}


def test_the_same_run_is_reopened(tmp_path):
    folder = open_workdir(tmp_path / "deep" / "run", RUN)
    before = (folder / CONFIG).read_bytes()
    assert open_workdir(folder, RUN) == folder
    assert (folder / CONFIG).read_bytes() == before
    assert json.loads(before)["config"] == {"dim": 3, "names": ["a", "b"], "rates": {"1": 0.5}}


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({**RUN, "dataset": "y"}, "dataset: 'x' there, 'y' now"),
        ({**RUN, "config": {**RUN["config"], "dim": 4}}, r"config\.dim: 3 there, 4 now"),
        ({**RUN, "config": {**RUN["config"], "names": ("a",)}}, r"config\.names: \['a', 'b'\] there, \['a'\] now"),
        ({**RUN, "seed": 1}, "seed: None there, 1 now"),
        ({"config": RUN["config"]}, "dataset: 'x' there, None now"),
    ],
)
def test_another_run_is_refused_and_what_differs_is_named(tmp_path, other, message):
    open_workdir(tmp_path, RUN)
    with pytest.raises(UsageError, match=rf"--workdir={tmp_path}: holds a run of another .*{message}.*choose another"):
        open_workdir(tmp_path, other)


@pytest.mark.parametrize("path", [None, ""])
def test_no_workdir(path):
    with pytest.raises(UsageError, match="--workdir is required"):
        open_workdir(path, RUN)


def test_a_broken_config_is_named(tmp_path):
    (tmp_path / CONFIG).write_text('{"config": ')
    with pytest.raises(DataError, match=r"config\.json: not valid JSON"):
        open_workdir(tmp_path, RUN)


def test_a_workdir_below_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError):  # runtime.app makes it a line
        open_workdir(tmp_path / "file" / "run", RUN)


def test_complete_once_the_metrics_are_there(tmp_path):
    folder = open_workdir(tmp_path, RUN)
    assert not is_complete(folder)
    write_json(folder / METRICS, {})
    assert is_complete(folder)
