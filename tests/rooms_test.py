"""How full a folder may be, so that a newcomer sees what is in it."""

import collections
import subprocess
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).resolve().parents[1]
MOST = 20  # files at one level


def _crowded(names: list[str]) -> dict[str, int]:
    folders = collections.Counter(PurePosixPath(name).parent.as_posix() for name in names if "/" in name)
    return {folder: files for folder, files in folders.items() if files > MOST}


@pytest.mark.parametrize(("files", "crowded"), [(MOST, {}), (MOST + 1, {"room": MOST + 1})])
def test_a_file_too_many_is_seen(files: int, crowded: dict[str, int]) -> None:
    assert _crowded([f"room/file_{n}.py" for n in range(files)]) == crowded


def test_no_folder_is_crowded() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert not _crowded(tracked.split("\n")[:-1])
