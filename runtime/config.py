"""The --config flag of every binary: FILE or FILE:NAME, and overrides as in --config.x=y.

FILE is Python with a function `get_config`, loaded by ml_collections. `~` in it is the user's home; a file that is not
in the current folder is looked for in the checkout. A mistake in it is a user's mistake: one line on stderr, exit
status 2, no traceback.
"""

import os
from typing import Any

from absl import flags
from ml_collections import ConfigDict, config_flags

from runtime import app
from runtime.errors import UsageError

flags.disclaim_key_flags()  # --help shows the flag among those of the binary that defines it


def define_config(default: str, help_string: str) -> flags.FlagHolder[ConfigDict]:
    """Defines --config; `.value` of what it returns is the locked config, once flags are parsed."""
    # Where the command line has no --config the library loads the default here, with the overrides.
    with app.flag_mistakes():
        holder = config_flags.DEFINE_config_file("config", found(default), help_string, lock_config=True)
    flag = flags.FLAGS["config"]
    load = flag.parser.parse
    flag.parser.parse = lambda argument: load(found(argument))  # type: ignore[method-assign]
    # Of a file that is missing the library says nothing before the config is used.
    flags.register_validator(holder, _check_loaded)
    return holder


def found(config: Any) -> Any:
    """FILE or FILE:NAME with the file's whole path where it is in the checkout alone, or in the user's home."""
    if not isinstance(config, str):
        return config
    path, colon, name = os.path.expanduser(config).partition(":")
    in_checkout = app.ROOT / path
    return f"{in_checkout if in_checkout.exists() and not os.path.exists(path) else path}{colon}{name}"


def _check_loaded(config: object) -> bool:
    if not isinstance(config, ConfigDict):
        path = config_flags.get_config_filename(flags.FLAGS["config"]).partition(":")[0]
        raise UsageError(f"{path}: no config file there, or get_config returns no ConfigDict; check the path")
    return True
