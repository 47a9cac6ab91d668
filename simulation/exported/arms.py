"""The arms of a test: named recommenders, some with a ranker behind them, that all choose from the same items."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from runtime.errors import UsageError
from runtime.paths import named_once
from simulation.exported import ranker
from simulation.exported.recommender import Recommender, load
from simulation.exported.serving import Rank
from simulation.fingerprints import fingerprint
from simulation.world.matching import item_numbers
from simulation.world.state import World

# First parts of names in metrics.json that are no arm's.
_TAKEN = ("aa", "exposures", "group", "impressions", "long_run", "random", "relative", "users")


@dataclass(frozen=True)
class Arm:
    """A recommender and the name that its users' group has; `rank` puts each slate into the order of a ranker, whose
    manifest has the digest `ranker`, "" without one.
    """

    name: str
    recommender: Recommender
    rank: Rank | None = None
    ranker: str = ""


def parse(arms: Sequence[str], *, least: int) -> dict[str, str]:
    """{name: folder} of NAME=DIR entries, in order.

    Errors: UsageError where there are fewer than `least`, or a name is there twice or is one that metrics.json uses.
    """
    folders = named_once(arms, flag="--arms", writer="retrieval.export", reserved=_TAKEN)
    if len(folders) < least:
        raise UsageError(
            f"--arms names {len(folders)} arm(s), at least {least}: write --arms=control=DIR,treatment=DIR"
            if least > 1
            else "--arms is required: NAME=DIR for each recommender, the folders that retrieval.export wrote"
        )
    return folders


def parse_rankers(rankers: Sequence[str], arms: Mapping[str, str]) -> dict[str, str]:
    """{arm: folder} of ARM=DIR entries; UsageError where one names no arm, or one twice."""
    folders = named_once(rankers, flag="--rankers", writer="ranking.export")
    for name in folders:
        if name not in arms:
            raise UsageError(f"--rankers: no arm is called '{name}'; there are {', '.join(arms)}")
    return folders


def load_arms(folders: Mapping[str, str], rankers: Mapping[str, str] | None = None) -> list[Arm]:
    """The arms in order, those in `rankers` with the ranker of that folder.

    Errors: UsageError where two do not choose from the same items by the same indices, or a ranker ranks other items.
    """
    rankers = rankers or {}
    arms = []
    for name, folder in folders.items():
        recommender = load(folder, flag=f"--arms={name}")
        arm = Arm(name, recommender)
        if name in rankers:
            rank = ranker.load(rankers[name], recommender, flag=f"--rankers={name}")
            arm = Arm(name, recommender, rank, fingerprint(rankers[name]))
        arms.append(arm)
    first = arms[0]
    for arm in arms[1:]:
        ours, theirs = first.recommender, arm.recommender
        if not ours.items["item_id"].equals(theirs.items["item_id"]):
            raise UsageError(
                f"--arms: {first.name} and {arm.name} are on different item sets ({ours.num_items:,} and "
                f"{theirs.num_items:,} items); export both from models of the same timelines"
            )
        if ours.vocabulary_hash != theirs.vocabulary_hash:
            raise UsageError(
                f"--arms: {first.name} and {arm.name} are of different vocabularies; export both from models of the "
                "same timelines"
            )
        if ours.log and theirs.log and ours.log != theirs.log:  # their test days are others
            raise UsageError(
                f"--arms: {first.name} and {arm.name} are of different logs, or of different splits of one; export "
                "both from models of the same timelines"
            )
    return arms


def world_items(
    recommender: Recommender, world: World, *, flag: str = "--arms", world_flag: str = "--world"
) -> np.ndarray:
    """The world's item of each index of the recommender's table, int64 [N + 1], -1 for padding.

    Errors: UsageError where an item is not of the world: the recommender was trained on another log.
    """
    remedy = "give the world that the recommender was trained on"
    return item_numbers(recommender.items, world, flag=flag, remedy=remedy, world_flag=world_flag)
