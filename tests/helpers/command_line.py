"""Runs binaries as a user does, many for the price of one start: a process that has the slow imports forks for each."""

import dataclasses
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_PARENT = """
import importlib, json, os, runpy, sys
request = json.load(sys.stdin)
for name in request["preload"]:
    importlib.import_module(name)
statuses = {}
for name, (program, *flags) in request["commands"].items():
    child = os.fork()
    if not child:
        for stream, suffix in ((1, "out"), (2, "err")):
            os.dup2(os.open(f"{request['folder']}/{name}.{suffix}", os.O_WRONLY | os.O_CREAT), stream)
        sys.argv = [program, *flags]
        run = runpy.run_path if program.endswith(".py") else runpy.run_module
        run(program, run_name="__main__", **({} if program.endswith(".py") else {"alter_sys": True}))
        sys.exit(0)
    statuses[name] = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
print(json.dumps(statuses))
"""


@dataclasses.dataclass(frozen=True)
class Ended:
    """What a command left behind."""

    status: int
    stdout: str
    stderr: str


def run(commands: Mapping[str, Sequence[str]], *, preload: Sequence[str] = ()) -> dict[str, Ended]:
    """Runs each command, [module or script.py, flag, ...], after importing `preload`; by the commands' names."""
    with tempfile.TemporaryDirectory() as folder:
        request = {"folder": folder, "commands": commands, "preload": preload}
        done = subprocess.run(
            [sys.executable, "-c", _PARENT],
            cwd=ROOT,
            input=json.dumps(request),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return {
            name: Ended(status, *(Path(folder, f"{name}.{suffix}").read_text("utf-8") for suffix in ("out", "err")))
            for name, status in json.loads(done.stdout).items()
        }
