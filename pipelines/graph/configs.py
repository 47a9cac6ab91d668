"""Loads the config of a stage, by the name that the stage has for it: configs/<file>.py:<name>."""

import functools
import runpy

from ml_collections import ConfigDict

from pipelines.graph import sources
from runtime.errors import UsageError


def config_of(name: str) -> ConfigDict:
    """What `--config=name` is before anything is overridden, a copy. Errors: UsageError where there is none."""
    return ConfigDict(_loaded(name).to_dict())


@functools.cache
def _loaded(name: str) -> ConfigDict:
    path, _, argument = name.partition(":")
    try:
        return runpy.run_path(str(sources.ROOT / path))["get_config"](argument)
    except ValueError as error:
        raise UsageError(f"{name}: {error}") from None
