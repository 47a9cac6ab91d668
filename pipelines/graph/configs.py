"""Loads the config of a stage, by the name that the stage has for it: configs/<file>.py:<name>."""

import functools
import json
import runpy
import subprocess
import sys
from typing import Any

from ml_collections import ConfigDict

from pipelines.graph import sources
from runtime.errors import UsageError


def config_of(name: str) -> ConfigDict:
    """What `--config=name` is before anything is overridden, a copy. Errors: UsageError where there is none."""
    return ConfigDict(_loaded(name).to_dict())


def values(name: str) -> dict[str, Any]:
    """The values of `config_of(name)` as plain data, by the files as they are now: a pipeline runs for hours."""
    files, _ = sources.trace(name.partition(":")[0].removesuffix(".py").replace("/", "."))
    return _values(name, tuple(sources.code(sources.ROOT / file) for file in files))


_FIRST: dict[str, tuple[str, ...]] = {}  # config -> the code of its files when this process first read it
_NOW = """
import json, runpy, sys
print(json.dumps(runpy.run_path(sys.argv[1])["get_config"](sys.argv[2]).to_dict(), default=str))
"""


@functools.cache
def _values(name: str, code: tuple[str, ...]) -> dict[str, Any]:
    if _FIRST.setdefault(name, code) == code:
        return dict(json.loads(json.dumps(config_of(name).to_dict(), default=str)))
    # Since it was edited what this process has imported is older than the files.
    path, _, argument = name.partition(":")
    command = [sys.executable, "-c", _NOW, path, argument]
    done = subprocess.run(command, cwd=sources.ROOT, capture_output=True, text=True, check=False)
    return dict(json.loads(done.stdout)) if done.returncode == 0 else {"error": done.stderr.strip().rpartition("\n")[2]}


@functools.cache
def _loaded(name: str) -> ConfigDict:
    path, _, argument = name.partition(":")
    try:
        return runpy.run_path(str(sources.ROOT / path))["get_config"](argument)
    except ValueError as error:
        raise UsageError(f"{name}: {error}") from None
