"""One writer a folder: a lock that the operating system drops when its holder dies, however it dies."""

import fcntl
import os
from pathlib import Path
from typing import IO

from runtime.errors import UsageError


def lock_folder(folder: Path) -> IO[str]:
    """Takes the folder's lock and returns it; closing it gives the lock back.

    Errors: UsageError names the process that holds the lock.
    """
    file = open(folder / "lock", "a+", encoding="utf-8")  # noqa: SIM115 (it stays open: that is the lock)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read().strip()
        file.close()
        raise UsageError(
            f"{folder}: process {holder} is writing here; wait until it ends, or choose another --workdir"
        ) from None
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    file.flush()
    return file
