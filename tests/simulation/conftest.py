"""A small world, as its feed ran and as it is read back; tests that want another have fixtures of their own."""

from pathlib import Path

import pytest

from simulation.world.feed import Feed
from simulation.world.state import World, open_world
from tests.logs import small_world


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("world")


@pytest.fixture(scope="module")
def feed(folder: Path) -> Feed:
    return small_world.write(folder)


@pytest.fixture(scope="module")
def world(folder: Path, feed: Feed) -> World:
    return open_world(str(folder))
