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


def shares(number: int) -> list[list[int]]:
    """The usable cores for `number` processes side by side, as many for each as there can be, and at least one.

    A program that takes its threads to be alone on all cores is slower than one that knows of its own alone.
    """
    cores = usable()
    return [cores[n::number] or [cores[n % len(cores)]] for n in range(number)]
