"""The feeds, the trainings and the table of `benchmarks.reach`."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from benchmarks.alternatives.runs import Row
from benchmarks.alternatives.table import with_spread
from configs.reach import TOWERS
from runtime.errors import UsageError

_DISLIKE = "long_watch+dislike"


@dataclass(frozen=True)
class Feed:
    """One feed: what differs from the feed of the config's size, from its training, and the weights that are tried."""

    name: str
    world: tuple[tuple[str, Any], ...]
    training: tuple[tuple[str, Any], ...]
    weights: tuple[float, ...]

    @property
    def folder(self) -> str:
        """Its folder's name: the feed's, with an underscore for what is no letter or digit."""
        return re.sub(r"\W+", "_", self.name).strip("_")


def feeds(config: ConfigDict) -> list[Feed]:
    """Every feed of the config, in the order of the table. Errors: UsageError where two would share a folder."""
    found = [Feed(*feed) for feed in config.feeds]
    for folder, count in Counter(feed.folder for feed in found).items():
        if count > 1:
            raise UsageError(f"--config.feeds: {count} of them have names that give the folder '{folder}'; rename them")
    return found


def rows(config: ConfigDict, feed: Feed, workdir: Path) -> list[Row]:
    """The trainings of one feed, in a folder of its own: weight by weight, both towers, every seed."""
    return [
        Row(
            signals=signals,
            weight=weight,
            workdir=workdir / feed.folder,
            seed=seed,
            world=feed.world,
            training=feed.training,
        )
        for weight in sorted(feed.weights)
        for signals in TOWERS
        for seed in config.seeds
    ]


def markdown(measured: Mapping[str, Mapping[str, Mapping[str, float]]], metrics: Mapping[str, float]) -> str:
    """Feed -> row -> numbers as a Markdown table: a line for each feed and weight, both towers beside each other."""
    head = "| feed | dislikes | events | w | paper's tower, content / creator | Recall@100 | with memory | Recall@100 |"
    lines = [head, "|---|---|---|---|---|---|---|---|"]
    for feed, found in measured.items():
        share, events = metrics[f"{feed}/rate/dislike"], metrics[f"{feed}/events"]
        for weight in dict.fromkeys(label.rpartition("-w")[2] for label in found):
            cells = [
                text
                for numbers in (found[f"{tower}-w{weight}"] for tower in TOWERS)
                for text in (
                    " / ".join(
                        with_spread(numbers, f"{_DISLIKE}/{kind}", "{:+.1%}") for kind in ("content", "creator")
                    ),
                    with_spread(numbers, "recall@100", "{:.3f}"),
                )
            ]
            lines.append(f"| {feed} | {share:.2%} | {events:,.0f} | {weight} | {' | '.join(cells)} |")
    return "\n".join(lines)
