"""Opens a file for reading, decompressed where its name ends in .gz or .zst."""

import errno
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


def pass_on(error: Exception, path: Path) -> None:
    """Raises what is no damage of the file: that it may not be opened, is gone, or one of too many that are open."""
    codes = (errno.EACCES, errno.EPERM, errno.ENOENT, errno.EMFILE, errno.ENFILE)
    if isinstance(error, OSError) and error.errno in codes:
        raise OSError(error.errno, error.strerror, str(path)) from None


def opened_text(path: Path) -> io.TextIOWrapper:
    """The same as UTF-8 text, line ends as they stand there."""
    return io.TextIOWrapper(opened(path), encoding="utf-8-sig", newline="")
