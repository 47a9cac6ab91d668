"""The gate of a pipeline: which model it judges, by what, and what a user sees of a refusal."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from configs import pipeline
from pipelines.systems.serving.judgement import judge
from runtime.artifact import read_json, write_json
from runtime.errors import UsageError
from tests.helpers import fake_recommender as fake
from tests.helpers.made_up_figures import write

ROOT = Path(__file__).resolve().parent.parent.parent
VECTORS = np.eye(3, dtype=np.float32)
LABELS = np.array([0, 1, 1])
DAYS = {"split": "test", "timelines": {}, "positive": ["like"]}


def run_of(folder: Path, config, *, name: str, change: float) -> Path:
    """A pipeline's workdir in which `name` is the served model: it changes similarity so and loses a tenth of 0.4."""
    write(folder / "pipeline.json", config.to_dict())
    write(folder / "selected" / "metrics.json", {f"{config.serve}/negative_weight": 100.0})
    reference = "dislike_input-final" if config.final else "dislike_input"
    for model, recall in ((name, 0.36), (reference, 0.4)):
        write(folder / "test" / model / "metrics.json", {"recall@100": recall})
        write(folder / "test" / model / "config.json", {**DAYS, "checkpoint": [model]})
    simulated = folder / "counterfactual" / name
    kinds = {f"long_watch+dislike/{kind}": change for kind in ("content", "creator")}
    bounds = {f"{name}/{bound}": change for name in kinds for bound in ("low", "high")}
    write(simulated / "metrics.json", kinds | bounds | {"users/content": 90, "users/creator": 90})
    write(simulated / "config.json", {"config": {"branches": ["long_watch+dislike", "skip"]}})
    fake.write(
        folder / "export" / name / "recommender",
        vectors=VECTORS,
        items=fake.item_table(LABELS, LABELS),
        tower=fake.sum_tower(VECTORS, sees_dislikes=True),
        lineage={"checkpoint": "its run"},
    )
    return folder


def limits(config, **gate):
    config.gate = gate
    return config


@pytest.mark.parametrize(("final", "name"), [(True, "final"), (False, "w100")])
def test_the_model_to_be_served_is_judged_against_its_reference(tmp_path, final, name):
    config = limits(pipeline.get_config("tiny"), min_responsiveness=-0.5, max_recall_loss=0.11)
    config.final = final
    workdir = run_of(tmp_path, config, name=f"dislike_input_and_label-{name}", change=-0.6)
    verdict = judge(workdir)
    assert verdict["passed"]
    assert (verdict["model"], verdict["checkpoint"]) == (f"dislike_input_and_label-{name}", "its run")
    assert verdict == read_json(workdir / "gate" / "verdict.json")
    numbers = read_json(workdir / "gate" / "metrics.json")
    assert numbers["gate/passed"] == 1
    assert numbers["gate/long_watch+dislike/creator"] == -0.6
    assert numbers["gate/recall_loss"] == pytest.approx(0.1)  # 1 - 0.36 / 0.4


def test_a_refusal_is_one_line_and_the_status_of_a_gate(tmp_path):
    config = limits(pipeline.get_config("tiny"), min_responsiveness=-0.5)
    name = "dislike_input_and_label-final"
    workdir = run_of(tmp_path, config, name=name, change=-0.2)
    command = [sys.executable, "-m", "pipelines.gate", f"--workdir={workdir}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 4
    assert done.stderr.splitlines() == [
        "pipelines.gate: long_watch+dislike/content is -20.0%, at most -50.0% is asked for; long_watch+dislike/creator "
        f"is -20.0%, at most -50.0% is asked for; {name} is not to be served, the verdict is in "
        f"{workdir / 'gate' / 'verdict.json'}"
    ]
    verdict = read_json(workdir / "gate" / "verdict.json")
    assert not verdict["passed"]
    assert "evaluation" not in verdict


def test_a_pipeline_without_a_gate_says_so(tmp_path):
    write_json(tmp_path / "pipeline.json", pipeline.get_config("tables").to_dict())
    with pytest.raises(UsageError, match=r"the pipeline 'tables' has no gate; see configs/pipeline\.py"):
        judge(tmp_path)
