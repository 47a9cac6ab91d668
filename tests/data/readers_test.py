"""Datasets by name: what the registry knows, what a new file brings, and BUILD.md's recipe followed to the letter."""

import importlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from configs import data, pipeline, ranking, retrieval, satisfaction
from data import readers
from data.raw.quarantine import Quarantine
from data.traits import Traits
from runtime.errors import UsageError
from tests.helpers import house_style

ROOT = Path(__file__).resolve().parents[2]
NAMES = sorted(readers.datasets())


@pytest.mark.parametrize("name", NAMES)
def test_every_config_takes_every_dataset(name):
    assert data.get_config(name).dataset == name
    assert pipeline.get_config(name).retrieval == name
    for config in (retrieval, ranking, satisfaction):
        whole, short = config.get_config(name), config.get_config(f"{name}_short")
        assert whole.keys() == short.keys()
    assert retrieval.get_config(f"{name}_short").num_epochs == 1


def test_configs_ask_the_readers_and_nothing_else_of_the_data():
    asked = {
        line
        for path in (ROOT / "configs").glob("*.py")
        for line in re.findall(r"^(?:from|import) data\b.*", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert asked <= {"from data import readers", "from data.readers import Dataset"}


def test_settings_exist_in_the_configs_that_they_are_for():
    stages = {"retrieval": retrieval, "ranking": ranking, "satisfaction": satisfaction}
    plain = {stage: config.get_config("tables") for stage, config in stages.items()}
    for dataset in readers.datasets().values():
        for stage in dataset.settings:
            if stage.startswith("pipeline"):
                pipeline.get_config(dataset.name + stage.removeprefix("pipeline"))  # ValueError for an unknown setting
            else:
                plain[stage].update_from_flattened_dict(dataset.of_stage(stage))  # KeyError for one


def test_an_unknown_name_is_told_those_there_are():
    for config in (data, retrieval, ranking, satisfaction):
        with pytest.raises(ValueError, match=r"no dataset 'movies'; there are tables, .*kuairand_pure"):
            config.get_config("movies")


def test_what_a_log_has_decides_what_is_learned(monkeypatch):
    def dataset(**has):
        return readers.Dataset("x", "", list, list, traits=Traits(events=has.pop("events", 9), feedback={}, **has))

    known = {
        "asked": dataset(questionnaires=True),
        "watched": dataset(play_times=True),
        "large": dataset(events=10**7),
        "unknown": readers.Dataset("x", "", list, list),
    }
    monkeypatch.setattr(readers, "datasets", lambda: known)
    answers = {name: satisfaction.get_config(name).answers for name in known}
    assert answers == {"asked": "questionnaire", "watched": "like_dislike", "large": "like_dislike", "unknown": ""}
    assert {name for name in known if ranking.get_config(name).tasks} == {"watched"}
    epochs = {name: satisfaction.get_config(name).align.num_epochs for name in known}
    assert epochs["large"] < epochs["asked"] == epochs["unknown"]


@pytest.fixture
def folder_of_readers(tmp_path, monkeypatch):
    """A folder that the registry looks in besides its own; what was there is known again afterwards."""
    monkeypatch.setattr(readers, "__path__", [*readers.__path__, str(tmp_path)])
    readers.datasets.cache_clear()
    yield tmp_path
    readers.datasets.cache_clear()
    for name in [name for name in sys.modules if name.startswith("data.readers.new_")]:
        del sys.modules[name]
    importlib.invalidate_caches()


def test_a_file_that_is_no_reader_is_named(folder_of_readers):
    (folder_of_readers / "new_empty.py").write_text("")
    with pytest.raises(UsageError, match=r"data/readers/new_empty: no reader: AttributeError: .*DATASETS.*BUILD\.md"):
        readers.datasets()


def test_what_is_imported_later_lies_with_the_readers(folder_of_readers):
    # A pipeline takes for the code of data.prepare what lies there: of other modules it would not see an edit.
    far = "from data.readers import later\nDATASETS = later('data.raw.x.read')\n"
    (folder_of_readers / "new_far.py").write_text(far)
    with pytest.raises(UsageError, match=r"new_far: no reader: ValueError: later\('data\.raw\.x\.read'\): no module"):
        readers.datasets()


def test_a_name_is_given_once(folder_of_readers):
    (folder_of_readers / "new_twin.py").write_text(
        "from data.readers import Dataset\nDATASETS = (Dataset('tables', 'mine', list, list),)\n"
    )
    with pytest.raises(UsageError, match="there is a dataset 'tables' already; give it another name"):
        readers.datasets()


def test_an_extract_of_likes_and_hates_is_read(tmp_path):
    header = "user_id,video_id,time_ms,is_click,is_like,is_follow,is_comment,is_forward,is_hate,long_view,"
    rows = ["1,5,1650000000000,1,1,0,0,0,0,1,65847,93633", "1,6,1650000001000,0,0,0,0,0,1,0,900,29433"]
    (tmp_path / "log_explicit_27k.csv").write_text("\n".join([header + "play_time_ms,duration_ms", *rows]) + "\n")
    dataset = readers.named("kuairand_27k_explicit")
    (path,) = dataset.source_files(tmp_path)
    assert path == tmp_path / "log_explicit_27k.csv"
    tables = dataset.read(tmp_path, quarantine=Quarantine())
    assert tables.events.select("item_id", "like", "dislike").equals(
        pl.DataFrame(
            {"item_id": [5, 6], "like": [1, 0], "dislike": [0, 1]},
            schema=tables.events.select("item_id", "like", "dislike").schema,
        )
    )
    assert dataset.traits.is_explicit
    assert satisfaction.get_config(dataset.name).satisfaction.estimator == "naive"


def test_the_recipe_for_a_dataset(tmp_path):
    """A checkout with BUILD.md's two files in their places: its test passes, and --help names the dataset."""
    recipe = (ROOT / "BUILD.md").read_text(encoding="utf-8").split("## Adding a dataset")[1].split("\n## ")[0]
    files = dict(re.findall(r"```python\n# (\S+)\n(.*?)```", recipe, re.DOTALL))
    assert [Path(name).parent.as_posix() for name in files] == ["data/readers", "tests/data"]
    house = tmp_path / "checkout"
    (house / "tests/data").mkdir(parents=True)
    (house / "tests/helpers").mkdir()
    shutil.copytree(ROOT / "data", house / "data", ignore=shutil.ignore_patterns("__pycache__"))
    for helper in ("command_line.py", "new_dataset.py"):
        shutil.copy(ROOT / "tests/helpers" / helper, house / "tests/helpers" / helper)
    for name in ("configs", "encoders", "metrics", "nn", "retrieval", "runtime", "training", "pyproject.toml"):
        (house / name).symlink_to(ROOT / name)
    for name, text in files.items():
        (house / name).write_text(text, encoding="utf-8")
    house_style.check(house, list(files))
    plain = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist"]
    done = subprocess.run([*plain, "tests/data"], cwd=house, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    listed = "import json; from data import readers; print(json.dumps([*readers.datasets()]))"
    known = subprocess.run([sys.executable, "-c", listed], cwd=house, capture_output=True, text=True, check=True)
    assert set(json.loads(known.stdout)) == {*NAMES, "shop"}
