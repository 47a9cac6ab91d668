"""A log of one's own in which people say no, from partitioned CSV with a schema.yaml to the report."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.helpers import browser
from tests.logs import own_log

pytestmark = pytest.mark.long

ROOT = Path(__file__).resolve().parent.parent.parent
NUM_USERS, NUM_ITEMS, NUM_EVENTS, NUM_TOPICS = 60, 160, 3_000, 5
_SCHEMA = f"""{own_log.SCHEMA}  like: stars >= 4
  dislike: [stars <= 2, verdict == hide]
items:
  item_id: id
  cluster_id: topic
decimal: ","
empty: ["-"]
"""


def _events() -> pl.DataFrame:
    """People give their own topic four or five stars and hide or give one or two to a third of the rest."""
    rng = np.random.default_rng(0)
    user, item = rng.integers(NUM_USERS, size=NUM_EVENTS), rng.integers(NUM_ITEMS, size=NUM_EVENTS)
    own, roll = item % NUM_TOPICS == user % NUM_TOPICS, rng.random(NUM_EVENTS)
    stars = np.where(own, np.where(roll < 0.5, "4,5", "5"), np.where(roll < 0.3, "1,5", "-"))
    return pl.DataFrame(
        {
            "viewer": [f"u{number}" for number in user],
            "video": [f"v{number}" for number in item],
            "at": 1_767_225_600 + np.sort(rng.integers(10 * 86_400, size=NUM_EVENTS)),
            "stars": stars,
            "verdict": np.where(~own & (roll > 0.9), "hide", ""),
        }
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The workdir and what the run said."""
    folder = tmp_path_factory.mktemp("stars")
    items = pl.DataFrame(
        {"id": [f"v{n}" for n in range(NUM_ITEMS)], "topic": [n % NUM_TOPICS for n in range(NUM_ITEMS)]}
    )
    logs = own_log.write(folder, _events(), _SCHEMA, items=items)
    command = [sys.executable, "-m", "pipelines.run", "--config=configs/pipeline.py:tables_short", f"--data={logs}"]
    # What the ranker is compared with has tests of its own.
    command += [f"--workdir={folder / 'run'}", "--jobs=2", "--config.ranking_variants=()"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "run", done.stdout


def test_the_log_is_read_as_its_schema_says(run: tuple[Path, str]) -> None:
    events = _events()
    manifest = json.loads((run[0] / "timelines" / "manifest.json").read_text())
    assert manifest["counts"]["read"] == manifest["counts"]["kept"] == NUM_EVENTS
    disliked = events.select(((pl.col("stars") == "1,5") | (pl.col("verdict") == "hide")).sum()).item()
    measured = json.loads((run[0] / ".pipeline" / "log.json").read_text())["log"]["traits"]["feedback"]
    assert measured["dislike"] == disliked / NUM_EVENTS
    assert measured["like"] == events["stars"].is_in(["4,5", "5"]).sum() / NUM_EVENTS


def test_models_learn_from_the_no_and_nothing_is_left_out(run: tuple[Path, str]) -> None:
    workdir, said = run
    trained = {path.parent.name for path in workdir.glob("train/*/metrics.json")}
    assert trained == {"dislike_input", "dislike_input_and_label-w300"}
    assert "left out:" not in said
    assert json.loads((workdir / "left_out.json").read_text()) == []
    assert json.loads((workdir / "serve" / "recommender" / "manifest.json").read_text())["left_out"] == []
    ranker = json.loads((workdir / "ranking" / "train" / "full" / "config.json").read_text())
    assert set(ranker["config"]["tasks"]) == {"like", "dislike"}


def test_the_report_says_how_the_model_takes_a_no_by_content(run: tuple[Path, str], tmp_path: Path) -> None:
    workdir, said = run
    page = (workdir / "report.html").read_text()
    assert said.splitlines()[-1] == str(workdir / "report.html")
    assert "has left no numbers" not in page
    fitted = json.loads((workdir / "train" / "dislike_input_and_label-w300" / "metrics.json").read_text())
    # So little is logged that the validation days may not trust what was trained.
    learns = (
        "that learns from dislikes and remembers them" if fitted["weight/towers"] else "whose towers have no weight"
    )
    assert f"With the model {learns}" in page
    assert (
        " watch" not in page.split('<section id="responsiveness">')[1].split("</section>")[0]
    )  # there are no play times
    assert "Content, here" in page
    assert "Creator, here" not in page  # no such column
    if browser.CHROMIUM:
        assert browser.faults(page, tmp_path) == {width: [] for width in browser.WIDTHS}
