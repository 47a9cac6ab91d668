"""The table of how far one dislike reaches: feeds in folders of their own, and what the table says."""

from pathlib import Path

import pytest

from benchmarks.reach.rows import feeds, markdown, rows
from configs.reach import TOWERS, get_config
from runtime.errors import UsageError


@pytest.mark.parametrize("size", ["demo", "tiny"])
def test_every_training_has_a_folder_of_its_own(size):
    config = get_config(size)
    found = [(row.workdir, row.label, row.seed) for feed in feeds(config) for row in rows(config, feed, Path("w"))]
    assert len(set(found)) == len(found) == 2 * sum(len(feed.weights) for feed in feeds(config))
    assert len({workdir for workdir, _, _ in found}) == len(feeds(config))


def test_feeds_that_would_share_a_folder_are_refused():
    config = get_config("tiny")
    config.feeds = tuple((name, (), (), (1.0,)) for name in ("rate .3%", "rate 3%"))
    with pytest.raises(UsageError, match="2 of them have names that give the folder 'rate_3'"):
        feeds(config)


def test_the_table_has_a_line_a_weight_and_both_towers_beside_each_other():
    paper, memory = (f"{tower}-w10" for tower in TOWERS)
    change = "long_watch+dislike/"
    measured = {
        "some": {
            paper: {f"{change}content": -0.1, f"{change}creator": -0.2, "recall@100": 0.4},
            memory: {f"{change}content": -0.6, f"{change}content/spread": 0.05, "recall@100": 0.5},
        }
    }
    line = markdown(measured, {"some/rate/dislike": 0.003, "some/events": 1000.0}).splitlines()[2]
    assert line == "| some | 0.30% | 1,000 | 10 | -10.0% / -20.0% | 0.400 | -60.0% ± 5.0% / – | 0.500 |"
