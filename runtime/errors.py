"""The two kinds of mistake a binary reports in one line.

Every message names the flag, file, column or value at fault and says what to do about it.
"""


class UsageError(Exception):
    """The command is at fault: a flag, a path, a config, a workdir of another run. Exit status 2."""


class DataError(Exception):
    """The data is at fault: a missing column, a bad value, a truncated file. Exit status 3."""
