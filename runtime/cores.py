"""How many CPU cores this process may use: all of the machine, or those that it was given."""

import os


def usable() -> list[int]:
    """Their numbers, rising. Where the operating system does not tell which, all."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def count() -> int:
    """How many there are, at least one."""
    return len(usable())
