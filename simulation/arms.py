"""The arms of a test: named exported recommenders that choose from the same items."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from runtime.errors import UsageError
from simulation.recommender import Recommender, load
from simulation.world_state import World


@dataclass(frozen=True)
class Arm:
    """A recommender and the name that its users' group has."""

    name: str
    recommender: Recommender


def parse(arms: Sequence[str], *, least: int) -> dict[str, str]:
    """{name: folder} of NAME=DIR entries, in order; UsageError where there are fewer than `least` or one is twice."""
    pairs: dict[str, str] = {}
    for entry in arms:
        name, equals, folder = entry.partition("=")
        if not (name and equals and folder) or "/" in name:
            raise UsageError(f"--arms={entry}: write NAME=DIR, DIR being the folder that retrieval.export wrote")
        if name in pairs:
            raise UsageError(f"--arms: '{name}' is there twice; give every arm a name of its own")
        pairs[name] = folder
    if len(pairs) < least:
        raise UsageError(
            f"--arms names {len(pairs)} arm(s), at least {least}: write --arms=control=DIR,treatment=DIR"
            if least > 1
            else "--arms is required: NAME=DIR for each recommender, the folders that retrieval.export wrote"
        )
    return pairs


def load_arms(folders: Mapping[str, str]) -> list[Arm]:
    """The arms in order. Errors: UsageError where two do not choose from the same items by the same indices."""
    arms = [Arm(name, load(folder, flag=f"--arms={name}")) for name, folder in folders.items()]
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
    return arms


def world_items(recommender: Recommender, world: World, *, flag: str = "--arms") -> np.ndarray:
    """The world's item of each index of the recommender's table, int64 [N + 1], -1 for padding.

    Errors: UsageError where an item is not of the world: the recommender was trained on another log.
    """
    ids = recommender.items["item_id"].cast(pl.Int64, strict=False).fill_null(-1).to_numpy()
    unknown = (ids[1:] < 0) | (ids[1:] >= world.num_items)
    if unknown.any():
        stranger = recommender.items["item_id"][int(np.flatnonzero(unknown)[0]) + 1]
        raise UsageError(
            f"{flag}: item {stranger} is not of --world; give the world that the recommender was trained on"
        )
    return np.concatenate([[-1], ids[1:]])
