"""How full a folder may be, and how alike what is in it may be called, so that a newcomer finds what is there."""

import collections
import itertools
from collections.abc import Iterable
from pathlib import PurePosixPath

import pytest

from tests.helpers import tracked

MOST = 20  # files at one level


def _crowded(files: Iterable[PurePosixPath]) -> dict[str, int]:
    folders = collections.Counter(file.parent.as_posix() for file in files)
    return {folder: count for folder, count in folders.items() if count > MOST}


def _alike(files: Iterable[PurePosixPath]) -> list[tuple[str, str, str]]:
    """Modules and rooms of one folder whose names differ by an ending of at most four letters."""
    names = collections.defaultdict(set)
    for file in files:
        for path in [file.with_suffix(""), *file.parents] if file.suffix == ".py" else []:
            names[path.parent.as_posix()].add(path.name)
    pairs = ((folder, *pair) for folder in names for pair in itertools.combinations(sorted(names[folder]), 2))
    return [(folder, one, other) for folder, one, other in pairs if _differ_by_ending(one, other)]


def _differ_by_ending(one: str, other: str) -> bool:
    stem = sum(1 for _ in itertools.takewhile(lambda letters: letters[0] == letters[1], zip(one, other)))
    endings = one[stem:], other[stem:]
    return stem >= 4 and one[stem - 1] != "_" and all(len(end) <= 4 and "_" not in end for end in endings)


@pytest.mark.parametrize(("files", "crowded"), [(MOST, {}), (MOST + 1, {"room": MOST + 1})])
def test_a_file_too_many_is_seen(files: int, crowded: dict[str, int]) -> None:
    assert _crowded(PurePosixPath(f"room/file_{n}.py") for n in range(files)) == crowded


def test_no_folder_is_crowded() -> None:
    assert not _crowded(tracked.files())


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("score", "scores", True),
        ("score", "scoring", True),
        ("align", "aligned", True),
        ("train", "trends", False),
        ("log_odds", "log_loss", False),
        ("item", "item_tower", False),
    ],
)
def test_names_that_are_alike_are_seen(one: str, other: str, alike: bool) -> None:
    assert _alike([PurePosixPath(f"room/{one}.py"), PurePosixPath(f"room/{other}/part.py")]) == (
        [("room", one, other)] if alike else []
    )


def test_no_two_names_of_a_folder_differ_by_their_ending() -> None:
    assert not _alike(tracked.files())
