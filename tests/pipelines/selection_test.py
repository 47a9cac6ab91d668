"""The rule that chooses a weight, and the links that it leaves."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from configs import pipeline
from pipelines.systems.retrieval.selection import choose_weight
from pipelines.systems.retrieval.stages import variants

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.parametrize(
    ("recalls", "chosen"),
    [
        ({10.0: 0.50, 100.0: 0.49, 1000.0: 0.40}, 100.0),  # 0.49 = 98% of 0.5 still qualifies
        ({10.0: 0.50, 100.0: 0.40, 1000.0: 0.495}, 1000.0),  # the largest, whatever lies below it
        ({10.0: 0.30, 100.0: 0.20}, 10.0),  # none qualifies: the smallest
        ({10.0: float("nan"), 100.0: 0.50}, 100.0),
    ],
)
def test_the_largest_weight_that_keeps_recall(recalls: dict[float, float], chosen: float) -> None:
    measured = {weight: {"recall@100": recall} for weight, recall in recalls.items()}
    assert choose_weight(measured, reference={"recall@100": 0.5}, keep={"recall@100": 0.98}) == chosen


@pytest.mark.parametrize(("share", "chosen"), [(0.0, 1000.0), (0.8, 100.0), (0.95, 10.0)])
def test_those_who_said_no_have_a_limit_of_their_own(share: float, chosen: float) -> None:
    of_said_no = {10.0: 0.40, 100.0: 0.34, 1000.0: 0.30}
    measured = {w: {"recall@100": 0.5, "recall@100/said_no": recall} for w, recall in of_said_no.items()}
    keep = {"recall@100": 0.98, "recall@100/said_no": share}
    assert choose_weight(measured, reference={"recall@100": 0.5, "recall@100/said_no": 0.4}, keep=keep) == chosen
    nobody_did = {"recall@100": 0.5}
    assert choose_weight({1.0: nobody_did, 2.0: nobody_did}, reference=nobody_did, keep=keep) == 2.0


def _choose(workdir: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "pipelines.choose", f"--workdir={workdir}"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_links_to_the_chosen_models_and_moves_with_the_next_choice(tmp_path: Path) -> None:
    config = pipeline.get_config("tiny")
    config.sweeps.dislike_input_and_label.weights = (10.0, 100.0)
    (tmp_path / "pipeline.json").write_text(json.dumps(config.to_dict()))

    def validated(heavy: float) -> None:
        for variant in variants(config):
            folder = tmp_path / "validate" / variant.name
            folder.mkdir(parents=True, exist_ok=True)
            recall = heavy if variant.weight == 100.0 else 0.5
            (folder / "metrics.json").write_text(json.dumps({"recall@100": recall}))

    for heavy, weight in ((0.5, 100), (0.1, 10)):
        validated(heavy)
        done = _choose(tmp_path)
        assert done.returncode == 0, done.stderr
        link = tmp_path / "selected" / "dislike_input_and_label"
        assert link.readlink() == Path("../train") / f"dislike_input_and_label-w{weight}"
        assert Path(f"{link}-export").readlink() == Path("../export") / f"dislike_input_and_label-w{weight}"
        chosen = json.loads((tmp_path / "selected" / "metrics.json").read_text())
        assert chosen["dislike_input_and_label/negative_weight"] == weight
        assert chosen["dislike_input_and_label/recall@100/reference"] == 0.5


def test_missing_validation_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "pipeline.json").write_text(json.dumps(pipeline.get_config("tiny").to_dict()))
    done = _choose(tmp_path)
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
    assert "metrics.json: no such file; run the stage that writes it first" in done.stderr
