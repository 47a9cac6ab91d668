"""Mistakes in --config, its overrides and its file: one line, exit status 2, no traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.config import found
from tests.helpers import command_line

OPTIONS = """from ml_collections import ConfigDict
def get_config(name="small"):
    if name != "small":
        raise ValueError(f"no config '{name}'; there is small")
    return ConfigDict({"dim": 3, "mesh": {"data": 1}, "names": ("a", "b"), "rate": 0.5})
"""
BINARY = """import sys
sys.path.insert(0, ".")
from runtime import app
from runtime.config import define_config
_CONFIG = define_config("{folder}/options.py", "Options.")
def main(argv):
    print(_CONFIG.value.to_json())
if __name__ == "__main__":
    app.run(main)
"""
FILES = {"broken.py": "def get_config(:", "nothing.py": "", "raises.py": "def get_config():\n    return unknown"}

MISTAKES = {
    "unknown setting": (["--config.nope=3"], "'nope'"),
    "near miss": (["--config.dimm=3"], 'Did you mean "dim"'),
    "unknown setting, file named": (["--config={folder}/options.py", "--config.nope=3"], "'nope'"),
    "unknown nested setting": (["--config.mesh.nope=3"], "'nope'"),
    "below a number": (["--config.dim.x=3"], "dim.x"),
    "wrong type": (["--config.dim=abc"], "--config.dim=abc: "),
    "wrong type, float": (["--config.rate=fast"], "--config.rate=fast: "),
    "no mapping": (["--config.mesh=3"], "--config.mesh=3: "),
    "no name of a setting": (["--config.=3"], "--config: "),
    "override before the file": (["--config.dim=4", "--config={folder}/options.py"], "--config.dim=4"),
    "wrong name": (["--config={folder}/options.py:large"], "no config 'large'; there is small"),
    "missing file": (["--config={folder}/missing.py"], "missing.py: no config file there"),
    "missing file, override": (["--config={folder}/missing.py", "--config.dim=4"], "missing.py"),
    "no Python": (["--config={folder}/broken.py"], "SyntaxError"),
    "no get_config": (["--config={folder}/nothing.py"], "get_config"),
    "raises": (["--config={folder}/raises.py"], "unknown"),
    "other flag": (["--cofnig=x"], "cofnig"),
}
GOOD = {
    "default": ([], '"dim": 3'),
    "override": (["--config.dim=4"], '"dim": 4'),
    "file and overrides": (["--config={folder}/options.py:small", "--config.mesh.data=2"], '"data": 2'),
    "help": (["--help"], "--config: Options."),
    "short help": (["-h"], "--config: Options."),
    "help beside a mistake": (["--config={folder}/missing.py", "--help"], "--config: Options."),
}


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    folder = tmp_path_factory.mktemp("config")
    for name, text in {"options.py": OPTIONS, "binary.py": BINARY.replace("{folder}", str(folder)), **FILES}.items():
        (folder / name).write_text(text)
    commands = {
        name: [str(folder / "binary.py"), *(flag.replace("{folder}", str(folder)) for flag in flags)]
        for name, (flags, _) in {**MISTAKES, **GOOD}.items()
    }
    return command_line.run(commands)


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line(ended, name):
    done = ended[name]
    assert done.status == 2
    assert MISTAKES[name][1] in done.stderr
    assert done.stderr.count("\n") == 1
    assert not done.stdout


@pytest.mark.parametrize("name", GOOD)
def test_config_and_help(ended, name):
    done = ended[name]
    assert not done.stderr
    assert done.status == 0
    assert GOOD[name][1] in done.stdout


ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("flag", ["--config=configs/data.py:tables", "--config=~/mine.py:tables", ""])
def test_a_binary_runs_from_any_folder(tmp_path, flag):
    (tmp_path / "mine.py").write_text((ROOT / "configs" / "data.py").read_text("utf-8"))
    done = subprocess.run(
        [sys.executable, "-m", "data.prepare", *([flag] if flag else []), "--data=~/logs", "--workdir=out"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 3
    assert done.stderr.startswith(f"data.prepare: {tmp_path / 'logs'}")
    assert done.stderr.count("\n") == 1


def test_ones_own_file_comes_before_the_checkouts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert found("configs/data.py:tables") == f"{ROOT}/configs/data.py:tables"
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "data.py").touch()
    assert found("configs/data.py:tables") == "configs/data.py:tables"
