"""The arrays of all shards, one after the other: user by user, so a shard's users are a stretch of each array."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.shards.part import Part
from data.timelines import EVENT_DTYPES, USER_DTYPES, header

SAMPLED = 1 << 22  # events that are looked at where not all are


def joined(parts: Sequence[Part], folder: Path) -> Iterator[tuple[str, NDArray[Any]]]:
    """The arrays of timelines, name by name: those of the only part, or mapped from files in `folder`.

    The parts' own files are gone afterwards.
    """
    if len(parts) == 1 and parts[0].arrays is not None:
        yield from parts[0].arrays.items()
        return
    events = [part.counts["events"] for part in parts]
    begins = np.cumsum([0, *events])
    folder.mkdir(parents=True, exist_ok=True)
    for name, dtype in EVENT_DTYPES.items():
        path = folder / f"{name}.npy"
        with open(path, "wb") as whole:
            whole.write(header(int(begins[-1]), dtype))
            for part in parts:
                assert part.folder is not None
                with open(part.folder / name, "rb") as file:
                    shutil.copyfileobj(file, whole, 1 << 22)
                (part.folder / name).unlink()
        yield name, np.load(path, mmap_mode="r")
    for name, dtype in USER_DTYPES.items():
        pieces = []
        for part, begin in zip(parts, begins, strict=False):
            assert part.folder is not None
            piece = np.fromfile(part.folder / name, dtype) + begin
            pieces.append(piece[:-1] if name == "offsets" and part is not parts[-1] else piece)
            (part.folder / name).unlink()
        yield name, np.concatenate(pieces)


def sampled(arrays: Mapping[str, NDArray[Any]], most: int = SAMPLED) -> dict[str, NDArray[Any]]:
    """Every k-th event, k as small as makes at most `most` of them, and where each user's begin among these."""
    step = -(-len(arrays["item"]) // most)
    if step <= 1:
        return dict(arrays)
    some = {name: np.array(arrays[name][::step]) for name in EVENT_DTYPES}
    return some | {"offsets": -(-np.asarray(arrays["offsets"]) // step)}
