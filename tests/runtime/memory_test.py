"""Memory that a process frees is its own to take again, unless the environment says otherwise."""

import ctypes
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"), reason="not glibc")

PROGRAM = """
import resource, threading
from runtime.memory import keep_freed_memory

faults = []

def allocate():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    bytearray(b"x") * (64 << 20)
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)

kept = keep_freed_memory()
for _ in range(2):
    thread = threading.Thread(target=allocate)
    thread.start()
    thread.join()
print(kept, *faults)
"""


def faults(**environment):
    """Whether the process kept its memory, and the page faults of two equal allocations in threads of their own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env={**kept, **environment}, capture_output=True, text=True, check=True
    )
    kept, first, second = done.stdout.split()
    return kept == "True", int(first), int(second)


def test_the_second_allocation_finds_its_pages_there():
    kept, first, second = faults()
    assert kept
    assert first > 10 * max(second, 10)


def test_a_setting_in_the_environment_stays():
    kept, first, second = faults(MALLOC_ARENA_MAX="4")
    assert not kept
    assert second > first / 2
