"""Every public log that Heed reads: its official layout, small, becomes timelines that a tiny model learns from."""

from collections.abc import Callable
from pathlib import Path

import pytest

from data.readers import kuairand, movielens, tsinghua_shortvideo, vk_lsvd, yambda
from tests.helpers import new_dataset
from tests.logs import official_logs

pytestmark = pytest.mark.long

# Dataset -> writes its layout into a folder; returns how many events there are to read.
WRITE: dict[str, Callable[[Path], int]] = {
    "movielens_100k": official_logs.movielens_100k,
    "movielens_1m": official_logs.movielens_1m,
    "movielens_20m": lambda folder: official_logs.movielens_csv(folder, "ml-20m"),
    "movielens_25m": lambda folder: official_logs.movielens_csv(folder, "ml-25m"),
    "yambda_50m": lambda folder: _yambda(folder, "50m", in_one=True),
    "yambda_500m": lambda folder: _yambda(folder, "500m", in_one=False),
    "yambda_5b": lambda folder: _yambda(folder, "5b", in_one=True),
    "vk_lsvd": official_logs.vk_lsvd,
    "tsinghua_shortvideo": official_logs.tsinghua_shortvideo,
    "kuairand_1k": lambda folder: official_logs.kuairand(folder, "1k"),
    "kuairand_27k": lambda folder: official_logs.kuairand(folder, "27k"),
}
# One of each format; the others have the same columns.
_LEARNED = ("kuairand_1k", "movielens_1m", "tsinghua_shortvideo", "vk_lsvd", "yambda_50m")


def _yambda(folder: Path, size: str, *, in_one: bool) -> int:
    kinds = official_logs.yambda(folder, size, in_one=in_one)
    return sum(kinds.values()) - kinds["unlike"]


def test_no_size_of_a_public_log_is_left_out():
    # KuaiRand's first size and its likes and hates have tests of their own.
    of_formats = {log.name for log in (*kuairand.DATASETS[1:-1], *vk_lsvd.DATASETS, *tsinghua_shortvideo.DATASETS)}
    assert of_formats | {log.name for log in (*movielens.DATASETS, *yambda.DATASETS)} == {*WRITE}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """By dataset: events written; the metrics.json of data.prepare; of those learned from, that of retrieval.train."""
    root = tmp_path_factory.mktemp("logs")
    events = {name: write(root / name) for name, write in WRITE.items()}
    folders = {name: root / name for name in events}
    return events, *new_dataset.all_learned(folders, {*_LEARNED}, workdir=root / "runs")


@pytest.mark.parametrize("name", WRITE)
def test_the_official_layout_is_prepared_as_it_is(made, name):
    events, prepared = made[0][name], made[1][name]
    assert prepared["rows/read"] == events
    assert prepared["rows/kept"] + prepared["rows/merged"] + prepared["rows/dropped/rare item"] == events
    sizes = [prepared[f"events/{split}"] for split in ("train", "valid", "test")]
    assert sum(sizes) == prepared["rows/kept"]
    assert min(sizes) > 0


@pytest.mark.parametrize("name", _LEARNED)
def test_a_tiny_model_learns_from_it(made, name):
    assert made[2][name]["steps"] > 0
