"""Mistakes on the command line of pipelines.run: one line each, exit status 2."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


def _run(*flags: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "pipelines.run", *flags]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--config=configs/pipeline.py:demo"], "--workdir is required"),
        (["--config=configs/pipeline.py:demo", "--data=."], "'demo' makes its own data; leave --data out"),
        (["--config=configs/pipeline.py:kuairand_pure"], "'kuairand_pure' needs --data=DIR"),
        (["--config=configs/pipeline.py:kuairand_pure", "--data=/no/such"], "--data=/no/such: no such folder"),
        (["--config=configs/pipeline.py:nope"], "no pipeline 'nope'"),
        (
            ["--config=configs/pipeline.py:tiny", "--only=trian"],
            "--only=trian: no such stage; there are world, prepare",
        ),
        (["--onyl=train"], "onyl"),
        (
            ["--config=configs/pipeline.py:tiny", "--config.serve=nope"],
            "--config.serve=nope: the pipeline 'tiny' trains no_dislike_signal, ",
        ),
        (
            ["--config=configs/pipeline.py:tiny", "--config.stages.retrieval.positive=('lkie',)"],
            "--config.stages.retrieval.positive=('lkie',): no feedback 'lkie'; one of click",
        ),
        (
            ["--config=configs/pipeline.py:tiny", "--config.keep_recall=2"],
            "--config.keep_recall=2.0: must be from 0 to 1",
        ),
        (
            ["--config=configs/pipeline.py:tiny", "--config.stages.counterfactual.slate_size=0"],
            "--config.stages.counterfactual.slate_size=0: must be at least 1",
        ),
        (
            ["--config=configs/pipeline.py:tiny", "--config.stages.ranking.learning_rate=nan"],
            "--config.stages.ranking.learning_rate=nan: must be finite and above 0",
        ),
        (
            ["--config=configs/pipeline.py:tables", f"--data={ROOT / 'docs'}", "--schema=/no/such.yaml"],
            "--schema=/no/such.yaml: no such file",
        ),
    ],
)
def test_a_mistake_is_one_line(flags: list[str], message: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = _run(*flags, *([] if "--workdir" in message else [f"--workdir={run}"]))
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert not run.exists() or "--only" in message  # which stages there are the prepared log decides


def test_list_runs_nothing(tmp_path: Path) -> None:
    done = _run("--config=configs/pipeline.py:tiny", f"--workdir={tmp_path / 'run'}", "--list")
    assert done.returncode == 0, done.stderr
    count, not_yet, *lines = done.stdout.splitlines()
    assert re.fullmatch(r"\d+ stages, \d+ of them train models; how long it takes .*", count)
    assert "left out once it is prepared" in not_yet
    assert [line.split() for line in lines[:2]] == [
        ["the", "log,", "as", "every", "model", "reads", "it:"],
        ["to", "run", "world", "(new)"],
    ]
    assert lines[-2] == "the report:"
    assert lines[-1].split() == ["to", "run", "report", "(after", "world)"]
    headings = [line for line in lines if not line.startswith(" ")]
    assert len(set(headings)) == len(headings) > 5  # what the stages are for
    assert not (tmp_path / "run" / "world").exists()


def test_a_workdir_of_another_pipeline_is_refused(tmp_path: Path) -> None:
    assert _run("--config=configs/pipeline.py:tiny", f"--workdir={tmp_path}", "--list").returncode == 0
    done = _run("--config=configs/pipeline.py:demo", f"--workdir={tmp_path}", "--list")
    assert done.returncode == 2
    assert "holds a run of another config" in done.stderr
