"""The whole pipeline on the tiny feed: killed on its way, gone on with, and then found up to date."""

import html
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from ml_collections import ConfigDict

from data.timelines import Timelines
from pipelines.graph.records import log_of, record_of
from pipelines.registry import stages
from tests.helpers import browser

pytestmark = pytest.mark.long

ROOT = Path(__file__).resolve().parent.parent.parent


# One of each kind: what differs from another by its config alone has tests of its own.
_CONFIG = """
from configs import pipeline


def get_config(name="tiny"):
    config = pipeline.get_config(name)
    config.plain = ("no_dislike_signal", "dislike_input")
    del config.sweeps.dislike_input_and_label_paper_tower
    config.ab_arms = ("no_dislike_signal", "dislike_input_and_label", "dislike_input")
    config.ranking_seeds = 1
    config.experiments = {"elsewhere": ("served",), "sweeps": ("served",), "ranked": ("served",)}
    return config
"""


def _command(workdir: Path, *flags: str) -> list[str]:
    config = workdir.parent / "one_of_each.py"
    config.write_text(_CONFIG)
    return [sys.executable, "-m", "pipelines.run", f"--config={config}:tiny", f"--workdir={workdir}", *flags]


def _config(workdir: Path) -> ConfigDict:
    return ConfigDict(json.loads((workdir / "pipeline.json").read_text()))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """The workdir, and the output of three runs in it: one killed at its first evaluation, two to the end, the first of
    them two stages at a time.
    """
    workdir = tmp_path_factory.mktemp("tiny") / "run"
    outputs = []
    with subprocess.Popen(
        _command(workdir), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as run:
        assert run.stdout is not None
        killed = ""
        for line in run.stdout:
            killed += line
            if "validate/" in line:
                os.kill(run.pid, signal.SIGKILL)
                break
    outputs.append(killed)
    for flags in (["--jobs=2"], []):
        done = subprocess.run(_command(workdir, *flags), cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        outputs.append(done.stdout)
    return workdir, outputs


def test_what_was_finished_before_the_kill_is_not_run_again(runs: tuple[Path, list[str]]) -> None:
    _, (_, second, third) = runs
    for stage in ("world", "prepare", "train/no_dislike_signal"):
        assert f"{stage}: up to date" in second
    lines = re.findall(r"^\[\d+/\d+\] (.*)$", third, flags=re.MULTILINE)
    assert len(lines) > 10
    assert all(line.endswith(": up to date") for line in lines)


def test_how_each_stage_was_made_is_kept_and_shown(runs: tuple[Path, list[str]]) -> None:
    workdir = runs[0]
    page = (workdir / "report.html").read_text()
    made = page[page.index('<section id="made">') :]
    names = [stage.name for stage in stages(_config(workdir), data=None) if stage.name != "report"]
    assert len(names) > 10
    for name in names:
        assert json.loads((workdir / record_of(name)).read_text())["status"] == 0
        assert (workdir / log_of(name)).exists()
        assert f"<td>{name}</td>" in made
    assert f"jax {version('jax')}" in made


def test_the_last_line_is_the_report(runs: tuple[Path, list[str]]) -> None:
    workdir, (_, second, _) = runs
    assert second.splitlines()[-1] == str(workdir / "report.html")
    assert "has left no numbers" not in (workdir / "report.html").read_text()


@pytest.mark.skipif(browser.CHROMIUM is None, reason="needs Chromium")
def test_the_report_fits_phones_tablets_and_laptops(runs: tuple[Path, list[str]], tmp_path: Path) -> None:
    page = (runs[0] / "report.html").read_text()
    assert browser.faults(page, tmp_path) == {width: [] for width in browser.WIDTHS}


def test_the_report_says_how_to_run_it_again(runs: tuple[Path, list[str]]) -> None:
    page = (runs[0] / "report.html").read_text()
    command = html.unescape(page[page.index("<pre><code>") :].split("<code>", 1)[1].split("</code>", 1)[0])
    assert shlex.split(command) == ["python", *_command(runs[0], "--jobs=2")[1:]]


def test_a_model_blind_to_dislikes_does_not_respond_to_one(runs: tuple[Path, list[str]]) -> None:
    metrics = json.loads((runs[0] / "metrics.json").read_text())
    for kind in ("content", "creator"):
        assert metrics[f"counterfactual/no_dislike_signal/long_watch+dislike/{kind}"] == 0


def test_every_stage_left_its_numbers(runs: tuple[Path, list[str]]) -> None:
    metrics = json.loads((runs[0] / "metrics.json").read_text())
    for name in (
        "log/events",
        "train/dislike_input/steps",
        "validate/dislike_input/recall@100",
        "test/dislike_input_and_label-w100/skip@100",
        "test/no_dislike_signal/item_knn/recall@100",
        "change/dislike_input_and_label-w100/recall@100",
        "serve/ann/recall@100",
        "selected/dislike_input_and_label/negative_weight",
        "ranking/train/satisfaction/valid/auc",
        "ab_ranked/true_satisfaction/relative",
        "ab_ranked/retrieval/watch_time/relative",
    ):
        assert name in metrics
    # A dozen steps teach a model nothing yet; what needs no training finds more than chance, 100 of the unmet items.
    log = Timelines.open(runs[0] / "timelines")
    users = np.unique(log.held_out("test", log.positive_feedback)[0])
    met = [len(np.unique(log.item[log.offsets[user] : log.test_start[user]])) for user in users]
    chance = np.mean(100 / (log.num_items - np.array(met)))
    for rule in ("popularity_7d", "item_knn", "item_knn_popularity"):
        assert metrics[f"test/no_dislike_signal/{rule}/recall@100/low"] > chance


def test_what_is_served_carries_the_verdict(runs: tuple[Path, list[str]]) -> None:
    workdir = runs[0]
    verdict = json.loads((workdir / "serve" / "recommender" / "manifest.json").read_text())["verdict"]
    assert verdict["passed"]
    assert verdict == json.loads((workdir / "gate" / "verdict.json").read_text())
    assert [check["name"] for check in verdict["checks"]] == ["recall_loss"]


def test_a_model_that_falls_short_ends_the_run_with_its_report(runs: tuple[Path, list[str]]) -> None:
    # The last test: it leaves the workdir with the verdict of other limits.
    workdir = runs[0]
    # A dislike may leave nothing alike of so few items; a skip does not.
    branches = "--config.stages.counterfactual.branches=('skip','long_watch+dislike')"
    command = _command(workdir, branches, "--config.gate.min_responsiveness=-1.0")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 4, done.stdout + done.stderr
    assert "at most -100.0% is asked for; dislike_input_and_label-final is not to be served" in done.stderr
    assert "goes on from here" not in done.stderr
    assert done.stdout.splitlines()[-1] == f"not served; how it was measured: {workdir / 'report.html'}"
    assert "falls short of what the pipeline asks" in (workdir / "report.html").read_text()
