"""Who may import whom: the house's table, and that `--help` loads neither TensorFlow nor JAX."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers import tracked

ROOT = Path(__file__).resolve().parent.parent

# folder -> the folders that it may import besides itself.
ALLOWED = {
    "runtime": set(),
    "configs": {"data"},  # data/readers/ alone: what a dataset has, and what training on it wants
    "nn": set(),
    "encoders": {"nn"},
    "metrics": set(),
    "data": {"metrics", "runtime"},
    "training": {"data", "runtime"},
    "retrieval": {"data", "encoders", "nn", "training", "metrics", "runtime"},
    "satisfaction": {"data", "encoders", "nn", "training", "metrics", "runtime"},
    "ranking": {"data", "encoders", "nn", "training", "metrics", "runtime"},
    "simulation": {"data", "metrics", "runtime"},
}
ALLOWED["pipelines"] = set(ALLOWED) - {"configs"}
# The same for the rooms of a folder: what stands outside its rooms is for all of them.
ROOMS = {
    "simulation": {
        "world": set(),
        "exported": {"world"},
        "counterfactual": {"world", "exported"},
        "ab_test": {"world", "exported"},
        "off_policy": {"world", "exported"},
    }
}
FREE = {"tests", "benchmarks"}  # may import everything
SLOW = ("tensorflow", "jax", "scann", "polars")


def _sources(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def _imports(tree: ast.AST) -> Iterator[tuple[str, ast.stmt]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"relative import on line {node.lineno}: write the folder's name"
            yield node.module or "", node


def _folders() -> set[str]:
    return {file.parts[0] for file in tracked.files() if file.suffix == ".py"}


def test_every_folder_has_a_row() -> None:
    assert _folders() <= ALLOWED.keys() | FREE


@pytest.mark.parametrize("folder", sorted(ALLOWED))
def test_imports_follow_the_table(folder: str) -> None:
    offences = [
        f"{path.relative_to(ROOT)}:{node.lineno} imports {name}"
        for path in _sources(folder)
        for name, node in _imports(ast.parse(path.read_text(encoding="utf-8")))
        if name.split(".")[0] in (ALLOWED.keys() | FREE) - ALLOWED[folder] - {folder}
    ]
    assert not offences


@pytest.mark.parametrize(("folder", "room"), [(folder, room) for folder in ROOMS for room in ROOMS[folder]])
def test_rooms_import_only_what_they_build_on(folder: str, room: str) -> None:
    rooms = {f"{folder}.{name}" for name in ROOMS[folder]}
    assert rooms == {f"{folder}.{path.parent.name}" for path in (ROOT / folder).glob("*/__init__.py")}
    allowed = {f"{folder}.{name}" for name in ROOMS[folder][room] | {room}}
    offences = [
        f"{path.relative_to(ROOT)}:{node.lineno} imports {name}"
        for path in _sources(f"{folder}/{room}")
        for name, node in _imports(ast.parse(path.read_text(encoding="utf-8")))
        if ".".join(name.split(".")[:2]) in rooms - allowed
    ]
    assert not offences


def _binaries(folders: set[str]) -> list[str]:
    return [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for folder in sorted(folders)
        for path in _sources(folder)
        if "app.run(main)" in path.read_text(encoding="utf-8")
    ]


def test_nobody_imports_a_binary() -> None:
    # Two of them in one process would define --config twice: their work lies in modules beside them.
    binaries = set(_binaries(ALLOWED.keys() | {"benchmarks"}))
    offences = [
        f"{path.relative_to(ROOT)}:{node.lineno} imports {name}"
        for folder in ALLOWED.keys() | FREE
        for path in _sources(folder)
        for name, node in _imports(ast.parse(path.read_text(encoding="utf-8")))
        if not binaries.isdisjoint({name, *(f"{name}.{alias.name}" for alias in getattr(node, "names", ()))})
    ]
    assert not offences


@pytest.mark.parametrize("module", _binaries(set(ALLOWED)))
def test_help_is_plain_and_loads_no_array_library(module: str) -> None:
    script = (
        "import runpy, sys\n"
        f"sys.argv = [{module!r}, '--help']\n"
        "try:\n"
        f"    runpy.run_module({module!r}, run_name='__main__', alter_sys=True)\n"
        "except SystemExit as end:\n"
        "    assert not end.code\n"
        f"print('loaded:', *[name for name in {SLOW!r} if name in sys.modules], file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "--workdir" in done.stdout
    assert done.stderr.strip().splitlines()[-1] == "loaded:"
