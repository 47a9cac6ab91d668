"""Artifacts: folders on disk that one stage writes and another reads.

A folder is built beside its final place and renamed when it is whole. One that is there already stays, as it may be a
mount point, the folder one is in, a link's target, or the only one that may be written in: the artifact is built inside
it, and its files take their places when all are whole, `manifest.json` last: without it, it is no artifact.

`manifest.json` is its table of contents: kind, format version, the writer's own fields, and the size and crc32 of each
file, checked when the folder is opened: of a large file once, until it changes (runtime/remembered.py).
"""

import contextlib
import errno
import hashlib
import json
import os
import shutil
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from runtime import remembered
from runtime.errors import DataError, UsageError
from runtime.lock import LOCK

MANIFEST = "manifest.json"
PARTIAL = ".partial"  # in a folder that was there before: what is being written, or was when the writer was killed
SCRATCH = ".scratch"  # likewise: what is needed only until the artifact is written
LOST_AND_FOUND = "lost+found"  # of a file system, where it is mounted


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Writes `value` as JSON in one step: readers see the old file or the new one, never half of it."""
    path = Path(path)
    temporary = path.with_name(path.name + ".partial")
    temporary.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    os.replace(temporary, path)


def read_json(path: str | os.PathLike[str]) -> Any:
    """Reads a JSON file; a missing or broken one is a DataError that names it."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; run the stage that writes it first") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not valid JSON ({error}); delete it and run the stage that writes it again") from None


def checksum(values: bytes) -> str:
    """crc32, in hex: tells the arrays of one training from another's."""
    return f"{zlib.crc32(values):08x}"


def digest(path: str | os.PathLike[str]) -> str:
    """sha256, in hex, of a file: a manifest's stands for all that its artifact holds. Of a large one remembered."""
    return remembered.checksum(Path(path), "sha256", _sha256)


@contextlib.contextmanager
def writing(path: str | os.PathLike[str], *, kind: str, version: int, fields: Mapping[str, Any]) -> Iterator[Path]:
    """Yields an empty folder to fill; on success adds its manifest and moves it to `path`, replacing what was there.

    `fields` may be filled while the folder is being written: it is read at the end. On an exception nothing stays, and
    what was there before does.
    """
    final = Path(path)
    inside = final.is_dir()
    if not inside and os.path.lexists(final):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(final))
    partial = final / PARTIAL if inside else final.with_name(final.name + PARTIAL)
    final.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        yield partial
        files = {
            str(file.relative_to(partial)): {"bytes": file.stat().st_size, "crc32": _known_crc32(file)}
            for file in sorted(partial.rglob("*"))
            if file.is_file()
        }
        write_json(partial / MANIFEST, {**fields, "kind": kind, "version": version, "files": files})
        if inside:
            _take_place(partial, final)
        else:
            os.replace(partial, final)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


@contextlib.contextmanager
def scratch(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yields a folder, not made yet, for files that are needed until the artifact at `path` is written; then removed.

    It is on the file system of the artifact, beside it or, where there is a folder already, in it.
    """
    final = Path(path).absolute()
    folder = final / SCRATCH if final.is_dir() else final.with_name(final.name + SCRATCH)
    shutil.rmtree(folder, ignore_errors=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _take_place(partial: Path, final: Path) -> None:
    (final / MANIFEST).unlink(missing_ok=True)
    for old in final.iterdir():
        if old.name in (PARTIAL, SCRATCH, LOCK, LOST_AND_FOUND):
            continue
        if old.is_dir() and not old.is_symlink():
            shutil.rmtree(old)
        else:
            old.unlink()
    for new in sorted(partial.iterdir(), key=lambda file: file.name == MANIFEST):
        os.replace(new, final / new.name)
    partial.rmdir()


def open_manifest(path: str | os.PathLike[str], *, kind: str, version: int, flag: str) -> dict[str, Any]:
    """The manifest of the artifact at `path`, after checking kind, version, and every file's size and crc32.

    Errors: UsageError names `flag` where the folder is missing or of another kind or version; DataError names the file
    that is missing, truncated or altered.
    """
    folder = Path(path)
    if not (folder / MANIFEST).is_file():
        raise UsageError(f"{flag}={path}: no {kind} here (no {MANIFEST}); give the folder that the {kind} stage wrote")
    manifest: dict[str, Any] = read_json(folder / MANIFEST)
    if manifest.get("kind") != kind:
        raise UsageError(f"{flag}={path}: holds '{manifest.get('kind')}', not '{kind}'; give the right folder")
    if manifest.get("version") != version:
        raise UsageError(
            f"{flag}={path}: {kind} format {manifest.get('version')}, this code reads {version}; write it again"
        )
    for name, expected in manifest["files"].items():
        file = folder / name
        if not file.is_file():
            raise DataError(f"{file}: missing; write the {kind} again")
        if file.stat().st_size != expected["bytes"]:
            raise DataError(
                f"{file}: {file.stat().st_size} bytes, {expected['bytes']} were written: truncated or altered; "
                f"write the {kind} again"
            )
        if _known_crc32(file) != expected["crc32"]:
            raise DataError(f"{file}: checksum does not match its manifest: altered; write the {kind} again")
    return manifest


def _known_crc32(path: Path) -> int:
    return int(remembered.checksum(path, "crc32", _crc32))


def _crc32(path: Path, chunk: int = 1 << 22) -> str:
    value = 0
    with open(path, "rb") as file:
        while block := file.read(chunk):
            value = zlib.crc32(block, value)
    return str(value)


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
