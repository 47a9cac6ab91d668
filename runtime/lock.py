"""One writer a folder: a lock that the operating system drops when its holder dies, however it dies."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from runtime.errors import UsageError

LOCK = ".lock"


def lock_folder(folder: Path) -> IO[str]:
    """Takes the folder's lock and returns it; closing it gives the lock back.

    Errors: UsageError names the process that holds the lock.
    """
    return _locked(folder / "lock", folder)


@contextlib.contextmanager
def one_writer(folder: Path) -> Iterator[None]:
    """Holds the lock of a folder that is written as a whole, in a file that is gone afterwards.

    It lies beside the folder, or in it where nothing may be written beside it.

    Errors: UsageError names the process that holds the lock.
    """
    folder = folder.absolute()
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = folder.with_name(folder.name + LOCK)
    path = beside if os.access(folder.parent, os.W_OK) else folder / LOCK
    while True:
        with _locked(path, folder) as file:
            # Who held it before may have removed the file that we have opened: then it locks nobody out.
            if not path.exists() or not os.path.samestat(os.fstat(file.fileno()), path.stat()):
                continue
            try:
                yield
            finally:
                path.unlink(missing_ok=True)
            return


def _locked(path: Path, folder: Path) -> IO[str]:
    file = open(path, "a+", encoding="utf-8")  # noqa: SIM115 (it stays open: that is the lock)
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
