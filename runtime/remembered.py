"""Checksums of large files, computed once: remembered in the user's cache folder for as long as the file is the same.

A file counts as the same while its device, inode, size, and times of writing and of change are: a copy, even one that
keeps the time of writing, is a file of its own and is read. Small files are read each time, which costs nothing. What
is remembered lies in $XDG_CACHE_HOME/heed/checksums, or ~/.cache/heed/checksums, and may be deleted at any time; where
it cannot be written nothing is remembered.
"""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

LARGE = 1 << 23  # bytes: a smaller file is read in a hundredth of a second
_FRESH_SECONDS = 2.0  # a file written since may be written again within one tick of its clock


def checksum(path: Path, kind: str, compute: Callable[[Path], str]) -> str:
    """`compute(path)`, the checksum of this `kind`, or what it was when the file was last read. Errors: OSError."""
    status = path.stat()
    if status.st_size < LARGE:
        return compute(path)
    same = [status.st_size, status.st_mtime_ns, status.st_ctime_ns]
    memory = _folder() / f"{status.st_dev}-{status.st_ino}.json"
    known = _read(memory)
    if known.get("file") != same:
        known = {"file": same}
    found = known.get(kind)
    if isinstance(found, str):
        return found
    value = compute(path)
    # Nothing is kept of a file that has been written to while it was read, or that may be without a trace.
    after = path.stat()
    is_same = same == [after.st_size, after.st_mtime_ns, after.st_ctime_ns]
    if is_same and time.time() - max(status.st_mtime, status.st_ctime) > _FRESH_SECONDS:
        _write(memory, {**known, kind: value})
    return value


def _folder() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(cache) / "heed" / "checksums"


def _read(memory: Path) -> dict[str, object]:
    try:
        known = json.loads(memory.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _write(memory: Path, known: dict[str, object]) -> None:
    temporary = memory.with_name(f"{memory.name}.{os.getpid()}")
    try:
        memory.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(known), encoding="utf-8")
        os.replace(temporary, memory)
    except OSError:
        temporary.unlink(missing_ok=True) if memory.parent.is_dir() else None
