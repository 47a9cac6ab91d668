"""Satisfaction trained on several devices: the same base recommender and the same main model as on one."""

import os
import subprocess
import sys

import jax
import numpy as np
import pytest

from data.timelines import Timelines
from runtime.artifact import read_json, write_json
from satisfaction.saqrec import alignment, base
from satisfaction.unbiased.imputed import Scores
from tests.logs import random_timelines
from tests.satisfaction.saqrec.alignment_test import config_of

DEVICES = 2
COMPARED = ("train_loss", "grad_norm/max", "valid/mrr", "valid/hr@10")


def run(data, folder, devices):
    """Base recommender and main model, without dropout: its random numbers are drawn where the rows are."""
    assert jax.device_count() == devices
    config, timelines = config_of(models=("saqrec",), satisfied_length=2, levels=False), Timelines.open(data)
    config.base.update({"dim": 8, "hidden": 8, "length": 16, "batch_size": 4, "dropout": 0.0})
    embeddings, metrics = base.train(config, timelines, folder / "base")
    imputed = Scores(*np.random.default_rng(1).random((2, len(timelines.item))).astype(np.float32), {})
    alignment.train_alignment(config, timelines, embeddings, imputed, folder / "align")
    aligned = read_json(folder / "align" / "metrics.json")
    write_json(folder / "compared.json", {name: [metrics[name], aligned[f"saqrec/{name}"]] for name in COMPARED})
    np.save(folder / "vectors.npy", embeddings.item)


@pytest.mark.long
def test_several_devices_agree_with_one(tmp_path):
    data = random_timelines.write(tmp_path / "timelines", lengths=[40] * 12, num_items=130, unseen=0).path
    one, several = tmp_path / "one", tmp_path / "several"
    code = "import pathlib; from tests.satisfaction.devices_test import run; "
    code += f"run({str(data)!r}, pathlib.Path({str(several)!r}), {DEVICES})"
    flags = f"--xla_force_host_platform_device_count={DEVICES}"
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu", "NPROC": "16"}
    environment["JAX_COMPILATION_CACHE_DIR"] = str(tmp_path / "compiled")  # for other threads than ours
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    run(data, one, 1)
    vectors = [np.load(folder / "vectors.npy") for folder in (one, several)]
    np.testing.assert_allclose(*vectors, rtol=1e-3, atol=1e-4)
    expected, found = (read_json(folder / "compared.json") for folder in (one, several))
    for name in COMPARED:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-3, err_msg=name)
