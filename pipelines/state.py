"""What a pipeline knows between runs, all of it in `<workdir>/.pipeline`: a lock, what is done, what was begun."""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from doit.dependency import DatabaseException, Dependency, JsonDB

from runtime.artifact import read_json, write_json
from runtime.errors import UsageError

_LOCK_SECONDS = 20  # the stage of a pipeline that was killed saves before it ends


class _DurableDB(JsonDB):
    # doit's JSON database, replaced in one step: a kill leaves the old one or the new one.

    def dump(self) -> None:
        temporary = f"{self.name}.partial"
        Path(temporary).write_text(self.codec.encode(self._db), encoding="utf-8")
        os.replace(temporary, self.name)


def finished_stages(path: Path) -> Dependency:
    """doit's database of the stages that have ended well; UsageError where the file at `path` is broken."""
    try:
        return Dependency(_DurableDB, str(path))
    except DatabaseException:
        raise UsageError(f"{path}: not valid JSON; delete it, and every stage checks its folder again") from None


def has_begun(record: Path, digest: str) -> bool:
    """True where the work last begun under this record is the work that `digest` describes, so that it may resume."""
    return record.exists() and read_json(record).get("digest") == digest


def begin(record: Path, digest: str) -> None:
    """Records what the folder of a stage is about to hold."""
    write_json(record, {"digest": digest})


@contextlib.contextmanager
def locked(path: Path) -> Iterator[int]:
    """Holds the lock of a workdir and yields its file descriptor; stages inherit it, so it outlives a killed pipeline.

    Errors: UsageError where another pipeline still holds it after 20 seconds.
    """
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        for _ in range(_LOCK_SECONDS * 10):
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(0.1)
        else:
            raise UsageError(f"--workdir={path.parent.parent}: another pipeline runs here; wait for it or stop it")
        yield lock
    finally:
        os.close(lock)
