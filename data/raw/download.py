"""Fetches a file over https, whole and as published, or not at all."""

import dataclasses
import functools
import hashlib
import re
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from pathlib import Path

from runtime.errors import DataError, UsageError
from runtime.progress import progress

_BLOCK = 1 << 20
_SECONDS = 60  # without an answer, or another block


@dataclasses.dataclass(frozen=True)
class Digest:
    """What a file is known by: the `algorithm` of hashlib, the hexadecimal digest, and who says so."""

    algorithm: str
    hexadecimal: str
    source: str


def fetch(url: str, path: Path, digest: Callable[[], Digest]) -> Path:
    """Fetches `url` to `path`, where it is not there yet; what is there is checked as well.

    It is written under another name and gets its own once its digest is the one that `digest` tells.

    Errors: UsageError where it cannot be fetched or the disk is too small for it, DataError where the digest differs.
    """
    if path.is_file():
        return _as_published(path, path, _told(digest, url, path))
    path.parent.mkdir(parents=True, exist_ok=True)
    expected = _told(digest, url, path)
    partial = path.with_name(f"{path.name}.partial")
    try:
        with _open(url) as answer, open(partial, "wb") as file:
            size = int(answer.headers.get("Content-Length") or 0)
            free = shutil.disk_usage(path.parent).free
            if size > free:
                raise UsageError(f"--download: {path.name} has {size:,} bytes, {path.parent} {free:,} free; make room")
            with progress(label=path.name, total=-(-size // _BLOCK) or 1, unit="MiB") as bar:
                while block := answer.read(_BLOCK):
                    file.write(block)
                    bar.update()
        return _as_published(partial, path, expected).rename(path)
    except OSError as error:
        raise _cannot(url, path, error) from None
    finally:
        partial.unlink(missing_ok=True)


def git_lfs(pointer_url: str) -> Digest:
    """The sha256 that a Git LFS pointer tells of its file, as Hugging Face serves them under `raw`."""
    with _open(pointer_url) as answer:
        text = answer.read(_BLOCK).decode("utf-8", errors="replace")
    found = re.search(r"oid sha256:([0-9a-f]{64})\b", text)
    if found is None:
        raise OSError(f"{pointer_url} holds no checksum")
    return Digest("sha256", found[1], pointer_url)


def hugging_face(dataset: str, names: Iterable[str], folder: Path) -> None:
    """Fetches files of a data set on Hugging Face to folder/NAME, checked against their Git LFS pointers.

    What is there has been fetched whole and is left as it is, so an interrupted run goes on where it was.
    """
    for name in names:
        if not (folder / name).is_file():
            digest = functools.partial(git_lfs, f"{HUGGING_FACE}/{dataset}/raw/main/{name}")
            fetch(f"{HUGGING_FACE}/{dataset}/resolve/main/{name}", folder / name, digest)


HUGGING_FACE = "https://huggingface.co/datasets"


def _open(url: str):  # type: ignore[no-untyped-def]
    # https, or a test's own server.
    if not url.startswith(("https://", "http://127.0.0.1:")):
        raise ValueError(f"{url}: no https")
    return urllib.request.urlopen(url, timeout=_SECONDS)


def _told(digest: Callable[[], Digest], url: str, path: Path) -> Digest:
    try:
        return digest()
    except OSError as error:
        raise _cannot(url, path, error) from None


def _cannot(url: str, path: Path, error: OSError) -> UsageError:
    return UsageError(f"--download: {url} cannot be fetched ({error}); put {path.name} into {path.parent} by hand")


def _as_published(file: Path, path: Path, expected: Digest) -> Path:
    with open(file, "rb") as opened:
        found = hashlib.file_digest(opened, expected.algorithm).hexdigest()
    if found != expected.hexadecimal:
        raise DataError(
            f"{path}: {expected.algorithm} {found}, {expected.source} says {expected.hexadecimal}: cut short or "
            "altered; remove it and fetch it again"
        )
    return file
