"""Loads the config of a stage, by the name that the stage has for it: configs/<file>.py:<name>."""

import functools
import runpy

from ml_collections import ConfigDict

from pipelines.graph import sources


def config_of(name: str) -> ConfigDict:
    """What `--config=name` is before anything is overridden, a copy."""
    return ConfigDict(_loaded(name).to_dict())


@functools.cache
def _loaded(name: str) -> ConfigDict:
    path, _, argument = name.partition(":")
    return runpy.run_path(str(sources.ROOT / path))["get_config"](argument)
