"""BUILD.md's recipe for a stage, followed to the letter in a copy of the checkout."""

import json
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.helpers import house_style
from tests.logs import random_timelines

ROOT = Path(__file__).resolve().parent.parent.parent


def _recipe() -> dict[str, str]:
    """File -> its text, of the recipe's code blocks: each names its file in the first line."""
    text = (ROOT / "BUILD.md").read_text(encoding="utf-8")
    recipe = text[text.index("## Adding a stage") : text.index("## Adding a dataset")]
    blocks = [textwrap.dedent(block) for block in re.findall(r"```python\n(.*?)```", recipe, flags=re.DOTALL)]
    return {block.splitlines()[0].removeprefix("# "): block for block in blocks}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for folder in {path.parent for path in ROOT.glob("*/*.py")} - {ROOT / "tests"}:
        shutil.copytree(folder, tmp_path / folder.name, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def _run(checkout: Path, *words: str) -> None:
    command = [sys.executable, "-m", *words]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_stage_and_its_section_are_two_files_and_two_names(checkout: Path) -> None:
    files = _recipe()
    assert list(files) == ["data/concentration.py", "pipelines/systems/concentration.py"]
    for name, text in files.items():
        (checkout / name).write_text(text, encoding="utf-8")
    registry = checkout / "pipelines" / "registry.py"
    text = registry.read_text()
    named = text.replace("serving, ab)\n", "serving, ab, concentration)\n")
    named = named.replace("        made.section,\n", "        concentration.section,\n        made.section,\n")
    assert named.count("concentration") == 2
    first = "from pipelines.systems.ab import stages"
    registry.write_text(named.replace(first, f"from pipelines.systems import concentration\n{first}"))
    house_style.check(checkout, [*files, "pipelines/registry.py"])
    words = [sys.executable, "-m", "data.concentration", f"--workdir={checkout}/none"]
    lacks = subprocess.run(words, cwd=checkout, capture_output=True, text=True, check=False)
    assert lacks.returncode == 2
    (line,) = lacks.stderr.splitlines()
    assert "--data is required: folder of the timelines" in line
    run = checkout / "run"
    log = random_timelines.write(run / "timelines")
    config = "--config=configs/pipeline.py:tiny"
    _run(checkout, "pipelines.run", config, f"--workdir={run}", "--only=concentration")
    shutil.rmtree(run / "timelines")  # made up, they lack what the section on the data tells
    _run(checkout, "pipelines.report", f"--workdir={run}")
    events = sorted((int((log.item == item).sum()) for item in range(log.item.max() + 1)), reverse=True)
    share = sum(events[: max(1, len(events) // 10)]) / len(log.item)
    assert json.loads((run / "metrics.json").read_text())["concentration/top_tenth"] == pytest.approx(share)
    page = (run / "report.html").read_text()
    assert f"The tenth of the items that has most has {share:.1%}." in page
    assert '<a href="#concentration">Concentration</a>' in page
    assert "<td>concentration</td>" in page[page.index('<section id="made">') :]
