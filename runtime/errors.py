"""What a binary reports in one line: two kinds of mistake, a model that falls short, a host that is gone.

Every message names the flag, file, column or value at fault and says what to do about it.
"""


class UsageError(Exception):
    """The command is at fault: a flag, a path, a config, a workdir of another run. Exit status 2."""


class DataError(Exception):
    """The data is at fault: a missing column, a bad value, a truncated file. Exit status 3."""


class FellShortError(Exception):
    """The model is at fault: it has been measured, and does not pass the gate that the command set. Exit status 4."""


class HostError(Exception):
    """Another of the hosts that train together has failed, is gone or stands still. Exit status 5."""
