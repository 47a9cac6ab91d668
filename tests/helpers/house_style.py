"""What `make lint` asks of files, asked of those that a test has written into a copy of the checkout."""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def check(checkout: Path, files: Sequence[str]) -> None:
    """`files` of `checkout` pass ruff by pyproject.toml's rules, format and lint, and mypy."""
    settings = checkout / "pyproject.toml"
    if not settings.exists():
        shutil.copy(ROOT / "pyproject.toml", settings)
    for words in (
        ["ruff", "check", "--no-cache", *files],
        ["ruff", "format", "--no-cache", "--check", "--diff", *files],
        ["mypy", "--follow-imports=silent", f"--cache-dir={checkout}/.mypy_cache", *files],
    ):
        done = subprocess.run([sys.executable, "-m", *words], cwd=checkout, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
