"""Flags that name paths: the home folder, and commas that are part of a name."""

import ast
from pathlib import Path

import pytest
from absl import flags

from runtime import paths
from runtime.errors import UsageError
from runtime.paths import split

ROOT = Path(__file__).resolve().parents[2]
NO_PATHS = {"coordinator", "dataset", "max_quarantine", "runner"}


@pytest.fixture(autouse=True)
def _folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/ada")
    for name in ("one,two", "part=1,day=2", "part=1", "plain"):
        (tmp_path / name).mkdir()


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        ("", []),
        ("a=x", ["a=x"]),
        ("a=x,b=y", ["a=x", "b=y"]),
        ("a=x, b=y", ["a=x", "b=y"]),
        ("a=x,a=y", ["a=x", "a=y"]),  # a seed each
        ("a=x,y,b=z,", ["a=x,y", "b=z,"]),  # no NAME= follows
        ("a=r/x,y/z=1,b=w", ["a=r/x,y/z=1", "b=w"]),  # a name has no slash
        ("a=part=1,day=2,b=plain", ["a=part=1,day=2", "b=plain"]),  # there is such a folder
        ("a=part=1,b=part=1", ["a=part=1", "b=part=1"]),
        ("a=~/x,b=~", ["a=/home/ada/x", "b=/home/ada"]),
        ("x,y", ["x,y"]),  # no NAME=DIR: whoever reads it says so
    ],
)
def test_named_folders_are_split_where_another_name_follows(text, entries):
    assert split(text, named=True) == entries


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        ("", []),
        ("x", ["x"]),
        ("x,y", ["x", "y"]),
        ("one,two", ["one,two"]),
        ("plain,one,two,plain", ["plain", "one,two", "plain"]),
        ("~/x,y", ["/home/ada/x", "y"]),
    ],
)
def test_folders_are_split_at_commas_unless_one_is_called_so(text, entries):
    assert split(text, named=False) == entries


def test_every_flag_that_names_a_path_is_one() -> None:
    texts = {
        (path.relative_to(ROOT).as_posix(), call.args[0].value)
        for path in ROOT.rglob("*.py")
        if not {"tests", ".venv"} & set(path.relative_to(ROOT).parts)
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "flags.DEFINE_string"
        if isinstance(call.args[0], ast.Constant)
    }
    assert {text for text in texts if text[1] not in NO_PATHS} == set(), "define them by runtime.paths"


def test_a_required_path_that_is_missing_is_named_with_what_it_is(monkeypatch):
    values = flags.FlagValues()
    monkeypatch.setattr(paths, "_required", [("folder", "The folder of a run.")])
    monkeypatch.setattr(flags, "FLAGS", values)
    flags.DEFINE_string("folder", None, "", flag_values=values)
    values(["program"])
    with pytest.raises(UsageError, match=r"--folder is required: the folder of a run; see --help"):
        paths.refuse_missing()


def test_named_folders_have_each_a_name_of_its_own():
    options = {"flag": "--arms", "writer": "retrieval.export"}
    assert paths.named_once(["a=x", "b=y=z"], **options) == {"a": "x", "b": "y=z"}
    for entry in ("a", "=x", "a=", "a/b=x"):
        with pytest.raises(UsageError, match=f"--arms={entry}: write NAME=DIR, DIR being the folder that retrieval"):
            paths.named_once([entry], **options)
    with pytest.raises(UsageError, match="--arms: 'a' is there twice"):
        paths.named_once(["a=x", "a=y"], **options)
    with pytest.raises(UsageError, match=r"--arms=a=x: metrics\.json uses the name 'a'"):
        paths.named_once(["a=x"], reserved=("a",), **options)
