"""The --config flag of every binary: FILE or FILE:NAME, and overrides as in --config.x=y.

FILE is Python with a function `get_config`, loaded by ml_collections. `~` in it is the user's home; a file that is not
in the current folder is looked for in the checkout. A mistake in it is a user's mistake: one line on stderr, exit
status 2, no traceback.
"""

import difflib
import os
import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from absl import flags
from ml_collections import ConfigDict, config_flags

from runtime import app
from runtime.errors import UsageError

_OVERRIDE = re.compile(r"--?(?:no)?config\.([^=]+)")

flags.disclaim_key_flags()  # --help shows the flag among those of the binary that defines it


def define_config(default: str, help_string: str) -> flags.FlagHolder[ConfigDict]:
    """Defines --config; `.value` of what it returns is the locked config, once flags are parsed."""
    # Where the command line has no --config the library loads the default here, with the overrides.
    with app.flag_mistakes():
        holder = config_flags.DEFINE_config_file("config", found(default), help_string, lock_config=True)
    flag = flags.FLAGS["config"]
    load = flag.parser.parse

    def parse(argument: Any) -> Any:
        config = load(found(argument))
        if isinstance(config, ConfigDict):
            refuse_unknown(config, sys.argv)
        return config

    flag.parser.parse = parse  # type: ignore[method-assign]
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


def flat(config: ConfigDict, before: str = "") -> Iterator[tuple[str, Any]]:
    """(`a.b`, value) of every setting, those of configs within it too."""
    for name, value in config.items():
        if isinstance(value, ConfigDict):
            yield from flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def refuse_unknown(config: ConfigDict, argv: Sequence[str]) -> None:
    """Errors: KeyError for an override of a setting that `config` has not, naming those that may be meant."""
    for override in (match[1] for word in argv if (match := _OVERRIDE.match(word))):
        node: Any = config
        for part in override.split("."):
            if isinstance(node, ConfigDict) and part.partition("[")[0] not in node:
                meant = " or ".join(f"--config.{name}" for name in _nearest(override, config))
                raise KeyError(f"'{override}'" + (f", did you mean {meant}?" if meant else ""))
            node = node[part] if isinstance(node, ConfigDict) and part in node else None


def _nearest(setting: str, config: ConfigDict) -> Sequence[str]:
    # The same name elsewhere, or the most alike.
    every = [name for name, _ in flat(config)]
    last = [name for name in every if name.rpartition(".")[2] == setting.rpartition(".")[2]]
    return last or difflib.get_close_matches(setting, [*every, *config], n=1) or _alike(setting, every)


def _alike(setting: str, every: Sequence[str]) -> Sequence[str]:
    # By the last part of the name alone.
    near = difflib.get_close_matches(setting.rpartition(".")[2], [name.rpartition(".")[2] for name in every], n=1)
    return [name for name in every if name.rpartition(".")[2] in near]


def _check_loaded(config: object) -> bool:
    if not isinstance(config, ConfigDict):
        path = config_flags.get_config_filename(flags.FLAGS["config"]).partition(":")[0]
        raise UsageError(f"{path}: no config file there, or get_config returns no ConfigDict; check the path")
    return True
