"""Satisfaction trained by two processes, all four steps, as by one; stopped between two; and mistakes of one alone."""

import json
import os
import signal
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from runtime.artifact import read_json
from runtime.errors import HostError, UsageError
from satisfaction import run as training
from satisfaction.run_folder import open_run
from satisfaction.unbiased.steps import Imputation
from tests.helpers import several_hosts
from tests.logs import random_timelines
from tests.satisfaction.saqrec.alignment_test import config_of as align_config

pytestmark = pytest.mark.long

RATES, RANKS = ("seconds", "_per_second"), ("mrr", "hr@10", "auc")  # two places may change by rounding alone


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    folder = tmp_path_factory.mktemp("log") / "timelines"
    # So few clicks that all windows are of one length.
    return random_timelines.write(folder, lengths=[30] * 12, num_items=130, unseen=0)


def run(data, folder, **options):
    """All four steps. Chance that is drawn where the rows are differs with their layout: so there is no dropout."""
    config = align_config(num_epochs=1, levels=False, satisfied_length=2)
    config.base.update({"dim": 8, "hidden": 8, "length": 16, "batch_size": 4, "dropout": 0.0})
    for step in (config.propensity, config.satisfaction):
        # Examples that the devices do not divide.
        step.update({"num_steps": 6, "eval_every": 3, "batch_size": 62, "dropout": 0.0})
    config.satisfaction.members = 1
    config.base.update(options.pop("base", {}))
    config.update(options)
    return training.train(config, data=data, workdir=folder)


def stopped(data, folder):
    """SIGTERM reaches the second process before the step "satisfaction": how each then ends, and what it has saved."""
    train = Imputation.train_satisfaction

    def signalled(*arguments):
        if jax.process_index() == 1:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(3)  # JAX looks once a second
        return train(*arguments)

    Imputation.train_satisfaction = signalled
    try:
        run(data, folder)
    except SystemExit as ended:
        return [ended.code, sorted(int(path.parent.name) for path in Path(folder).glob("satisfaction/0/*/*/*/record"))]
    finally:
        Imputation.train_satisfaction = train


def both(data, folder):
    """What both processes run: trainings that they must not go on with, then one that is stopped, goes on to its end,
    and is complete."""
    first = jax.process_index() == 0
    said = []
    for what, where, options in (
        (data if first else f"{folder}/none", "refused", {}),
        (data, "refused", {"base": {"batch_size": 6}}),
        (data, "refused", {"seed": jax.process_index()}),
        (data, "two", {}),
        (data, "two", {}),
    ):
        try:
            said.append(run(what, f"{folder}/{where}", **options))
        except (HostError, UsageError) as error:
            said.append(str(error))
        if len(said) == 3:
            said.append(stopped(data, f"{folder}/two"))
    return json.dumps(said)


def test_two_hosts_train_what_one_trains_or_refuse_together(log, tmp_path):
    call = f"here.both({str(log.path)!r}, {str(tmp_path)!r})"
    ended = several_hosts.run(f"from tests.satisfaction import hosts_test as here; print({call})")
    assert [process.status for process in ended] == [0, 0], ended
    first, second = (json.loads(process.stdout.splitlines()[-1]) for process in ended)
    assert first[0].startswith("process 1 has ended with an error")
    assert second[0].startswith(f"--data={tmp_path}/none: no timelines")
    assert first[1] == second[1] == "--config.base.batch_size=6: not divisible by the 4 devices"
    assert first[2].startswith("process 1 has ended with an error")
    assert "holds a run of another config or dataset (config.seed: 0 there, 1 now)" in second[2]
    two, one = tmp_path / "two", tmp_path / "one"
    steps = "base, propensity, satisfaction, align"
    assert first[3:] == second[3:] == [[143, [1]], f"trained {steps}: {two}", f"already complete: {two}"]

    run(str(log.path), str(one))
    found, expected = (read_json(folder / "metrics.json") for folder in (two, one))
    assert found.keys() == expected.keys()
    for name in expected:
        if not name.endswith((*RATES, *RANKS)):
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-3, err_msg=name)
    found, expected = (open_run(folder, log, flag="--run") for folder in (two, one))
    for name in ("satisfaction", "propensity"):
        np.testing.assert_allclose(getattr(found.scores, name), getattr(expected.scores, name), rtol=1e-3, err_msg=name)
    _, before = found.models["saqrec"].histories.clicks.targets("test")
    for name, model in found.models.items():
        # Of differences between items: what moves all clicks' scores alike has a gradient of rounding alone, and Adam
        # moves by a whole step there.
        for what, scores in model(before).items():
            differences = (np.diff(each, axis=1) for each in (scores, expected.models[name](before)[what]))
            np.testing.assert_allclose(*differences, rtol=1e-3, atol=1e-4, err_msg=f"{name} {what}")
    # Each step is logged once: one of the processes wrote.
    for file in two.rglob("metrics.jsonl"):
        logged = [(line["step"], line["name"]) for line in map(json.loads, file.read_text().splitlines())]
        assert logged
        assert len(logged) == len(set(logged)), file
