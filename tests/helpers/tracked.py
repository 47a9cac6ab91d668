"""The files of the checkout that git knows."""

import subprocess
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[2]


def files() -> list[PurePosixPath]:
    """All that lie in a folder, by their paths from the top."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [PurePosixPath(name) for name in listed.splitlines() if "/" in name]
