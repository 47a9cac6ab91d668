"""A log of one's own in which nobody says no, from partitioned CSV with a schema.yaml to the report."""

import json
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from tests.logs import own_log, small_world

pytestmark = pytest.mark.long

ROOT = Path(__file__).resolve().parent.parent.parent


def _write(folder: Path) -> Path:
    """The clicks of a small feed, and nothing else."""
    small_world.write(folder / "world", num_users=100, num_events=4_000)
    events = pl.read_parquet(folder / "world" / "tables" / "events.parquet").filter(pl.col("click") == 1)
    clicks = events.select(viewer="user_id", video="item_id", at=pl.col("timestamp_ms") // 1000, click=1)
    return own_log.write(folder, clicks, own_log.SCHEMA)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The workdir and what the run said."""
    folder = tmp_path_factory.mktemp("clicks")
    command = [sys.executable, "-m", "pipelines.run", "--config=configs/pipeline.py:tables_short"]
    command += [f"--data={_write(folder)}", f"--workdir={folder / 'run'}", "--config.stages.retrieval.dim=8"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "run", done.stdout


def test_one_model_is_trained_and_the_plan_says_what_is_left_out(run: tuple[Path, str]) -> None:
    workdir, said = run
    assert [path.parent.name for path in workdir.glob("train/*/metrics.json")] == ["no_dislike_signal"]
    assert "6 stages, 1 of them train models" in said
    assert "left out: models that read or learn from dislikes, as no event of the training days is one" in said
    assert said.splitlines()[-1] == str(workdir / "report.html")


def test_a_setting_has_reached_its_stage(run: tuple[Path, str]) -> None:
    config = json.loads((run[0] / "train" / "no_dislike_signal" / "config.json").read_text())["config"]
    assert config["dim"] == 8


def test_report_card_and_manifest_say_what_is_left_out_and_nothing_of_learning_from_dislikes(
    run: tuple[Path, str],
) -> None:
    workdir, _ = run
    page = (workdir / "report.html").read_text()
    left_out = json.loads((workdir / "serve" / "recommender" / "manifest.json").read_text())["left_out"]
    assert [lost["what"] for lost in left_out] == [
        "models that read or learn from dislikes",
        "models that learn from skips",
        "responsiveness to a no",
        "the ranker",
    ]
    card = page[page.index('<section id="card">') :]
    with_backticks = page.replace("<code>", "`").replace("</code>", "`")
    for lost in left_out:
        assert lost["remedy"] in with_backticks
        assert lost["why"] in card
    assert "cannot say whether the recommender takes a no, as nothing in the log is a no, neither" in page
    for of_a_no in ("people can say no", "Responsiveness is measured", "A skip is a guess"):
        assert of_a_no not in card
    assert "model that learns from dislikes" not in page
    assert "has left no numbers" not in page
