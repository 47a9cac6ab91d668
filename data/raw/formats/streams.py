"""Opens a file for reading, decompressed where its name ends in .gz or .zst."""

import io
from pathlib import Path
from typing import IO, Any, cast

import pyarrow as pa

_CODECS = {".gz": "gzip", ".zst": "zstd"}


def opened(path: Path) -> IO[bytes]:
    """The bytes of a file, from its beginning. Errors, on reading too: OSError for a file that is cut short."""
    codec = _CODECS.get(path.suffix.lower())
    file = open(path, "rb")  # noqa: SIM115
    return cast(Any, pa.CompressedInputStream(file, codec)) if codec else file


def opened_text(path: Path) -> io.TextIOWrapper:
    """The same as UTF-8 text, line ends as they stand there."""
    return io.TextIOWrapper(opened(path), encoding="utf-8-sig", newline="")
