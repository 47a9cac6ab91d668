"""Silences what is left of Orbax's reads and writes once one of them has failed.

Orbax then closes the event loop in which it waits for all of them. TensorStore still answers the others, and Python
prints a traceback for each answer that finds the loop closed, some dozens before the one line that says what is wrong.
"""

import functools
import sys


@functools.cache
def ignore_abandoned() -> None:
    """From now on Python says nothing of them; of all else that it can raise nowhere it tells as before."""
    tell = sys.unraisablehook

    def tell_others(unraisable: "sys.UnraisableHookArgs") -> None:
        error = unraisable.exc_value
        answered = isinstance(error, RuntimeError) and str(error) == "Event loop is closed"
        dropped = error is not None and isinstance(error.__cause__, GeneratorExit)  # in the middle of its coroutine
        if not (answered or dropped):
            tell(unraisable)

    sys.unraisablehook = tell_others
