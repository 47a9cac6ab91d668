"""Parses the flags of a binary and ends: `only_flags.py MODULE FLAG…`, to be run by tests/helpers/command_line.py."""

import runpy
import sys

from absl import flags

from runtime import app, paths
from tests.helpers import command_line


def of(commands):
    """How the parsing of each {name: [module, flag, …]} ended; nothing else of them is run."""
    return command_line.run(
        {name: [__file__, *command] for name, command in commands.items()}, preload=("tests.helpers.only_flags",)
    )


def _parse(main, **_):
    with app.flag_mistakes():
        left = flags.FLAGS(list(sys.argv))[1:]
    paths.refuse_missing()
    sys.exit(f"no flag: {left}" if left else 0)


if __name__ == "__main__":
    app.run = _parse
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
