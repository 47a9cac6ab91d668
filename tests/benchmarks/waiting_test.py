"""How processes are waited for."""

import os

import pytest

from benchmarks.shared import waiting
from runtime.errors import UsageError


def test_commands_are_those_with_flags():
    found = waiting.commands()
    assert {"retrieval.train", "retrieval.export", "data.prepare", "benchmarks.startup", "pipelines.run"} <= set(found)
    assert "retrieval.run" not in found
    assert not any(name.startswith("tests") for name in found)


def test_cpu_seconds_are_those_of_the_process():
    before = sum(os.times()[:2])
    counted = waiting.cpu_seconds(os.getpid())
    tick = 1 / os.sysconf("SC_CLK_TCK")
    assert before - 2 * tick <= counted <= sum(os.times()[:2]) + 2 * tick


def test_a_training_that_makes_no_step_says_why(tmp_path):
    with pytest.raises(UsageError, match="--data=/nowhere: no "):
        waiting.first_step("data.inspect", ["--data=/nowhere"], cache=tmp_path)
