"""What a file that cannot be read is instead, by its first bytes: for the message that says so."""

from pathlib import Path

from data.raw.formats.streams import opened

_BEGINNINGS = (
    (b"\x1f\x8b", "compressed by gzip: let its name end in .csv.gz or .jsonl.gz"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd: let its name end in .csv.zst or .jsonl.zst"),
    (b"PK\x03\x04", "a spreadsheet or a zip archive: save the sheet as CSV in UTF-8, or unpack the archive"),
    (b"\xd0\xcf\x11\xe0", "a spreadsheet: save the sheet as CSV in UTF-8"),
    (b"\xff\xfe", "text in UTF-16: write it again as UTF-8"),
    (b"\xfe\xff", "text in UTF-16: write it again as UTF-8"),
    (b"version https://git-lfs", "a pointer of Git LFS: fetch the file itself, as by `git lfs pull`"),
)
_PARQUET = (b"PAR1", "Parquet: let its name end in .parquet")
_LONGEST = max(len(beginning) for beginning, _ in _BEGINNINGS)


def told(path: Path, otherwise: str) -> str:
    """What the file is, and what to do about it; `otherwise` where its first bytes are of nothing that is known."""
    with opened(path) as file:  # without the compression that its name tells
        begins = file.read(_LONGEST)
    known = _BEGINNINGS if path.suffix.lower() == ".parquet" else (_PARQUET, *_BEGINNINGS)
    found = next((what for beginning, what in known if begins.startswith(beginning)), "")
    if not found and b"\0" in begins[:4]:
        found = "text in UTF-16 or UTF-32: write it again as UTF-8"
    return f"{path}: is {found}" if found else f"{path}: {otherwise}"
