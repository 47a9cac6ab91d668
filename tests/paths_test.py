"""Paths are taken as they are written: no character of a folder's name is a pattern, wherever it is opened."""

import ast
from pathlib import Path

from data.raw.quarantine import Quarantine
from data.readers.canonical.layout import read_tables
from tests.logs import random_timelines

ROOT = Path(__file__).resolve().parent.parent
READERS = ("read_csv", "scan_csv", "read_parquet", "scan_parquet")


def test_polars_is_told_everywhere_that_a_path_is_no_pattern() -> None:
    offences = [
        f"{path.relative_to(ROOT)}:{call.lineno}"
        for path in ROOT.rglob("*.py")
        if not {"tests", ".venv"} & set(path.relative_to(ROOT).parts)
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in READERS
        if ast.unparse(call.func.value) == "pl" and "glob=False" not in map(ast.unparse, call.keywords)
    ]
    assert not offences, f"say glob=False: {offences}"


def test_a_log_is_read_from_its_own_folder(tmp_path: Path) -> None:
    for folder, user in (("logs[1]", "mine"), ("logs1", "other"), ("any*", "star"), ("any day", "day")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "events.csv").write_text(f"user_id,item_id,timestamp_ms,like\n{user},a,1650000000000,1\n")
    for folder, user in (("logs[1]", "mine"), ("any*", "star")):
        tables = read_tables(tmp_path / folder, quarantine=Quarantine(enabled=False)).whole()
        assert tables.events["user_id"].to_list() == [user]


def test_timelines_are_opened_from_their_own_folder(tmp_path: Path) -> None:
    random_timelines.write(tmp_path / "run1", lengths=[1, 2])
    assert len(random_timelines.write(tmp_path / "run[1]", lengths=[1, 2, 3]).users) == 3
