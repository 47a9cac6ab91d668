"""Which user and item of a synthetic feed a row of another table is, and whether the table is of that feed at all.

Timelines and exported recommenders have numberings of their own; whoever asks the feed's truth about them needs its.
"""

import numpy as np
import polars as pl

from data.timelines import Timelines
from runtime.errors import UsageError
from simulation.world.state import World


def numbers(timelines: Timelines, world: World) -> tuple[np.ndarray, np.ndarray]:
    """(the world's user of each user of the timelines, int64 [U]; its item of each item, as `item_numbers`).

    Errors: UsageError where the timelines were made of another world.
    """
    flag, remedy = "--data", "give the world that the timelines were made of"
    users = timelines.users["user_id"].cast(pl.Int64, strict=False).fill_null(-1).to_numpy()
    if ((users < 0) | (users >= world.num_users)).any():
        raise UsageError(f"{flag}: has a user_id that is not of --world; {remedy}")
    return users, item_numbers(timelines.items, world, flag=flag, remedy=remedy)


def item_numbers(
    items: pl.DataFrame, world: World, *, flag: str, remedy: str, world_flag: str = "--world"
) -> np.ndarray:
    """The world's item of each row of an item table, int64 [N + 1], -1 for row 0, the padding.

    Two worlds of one size have the same item ids, but not the same creators and clusters; where the table has these
    (`creator_id`, `cluster_id`), each row must have those of the world's catalogue.
    Errors: UsageError, which names both flags and ends in `remedy`, at the first item that is not of this world.
    """

    def number(column: str) -> np.ndarray:
        return items[column][1:].cast(pl.Int64, strict=False).fill_null(-1).to_numpy()

    ids = number("item_id")
    foreign = (ids < 0) | (ids >= world.num_items)
    if foreign.any():
        raise UsageError(f"{flag}: item {items['item_id'][_first(foreign) + 1]} is not of {world_flag}; {remedy}")
    for column, ours in (("creator_id", world.catalogue.creator), ("cluster_id", world.catalogue.cluster)):
        if column in items.columns and items[column].null_count() < items.height:
            theirs = number(column)
            differs = theirs != ours[ids]
            if differs.any():
                row = _first(differs)
                raise UsageError(
                    f"{flag}: item {ids[row]} has {column} {theirs[row]}, in {world_flag} {ours[ids[row]]}; {remedy}"
                )
    return np.concatenate([[-1], ids])


def _first(where: np.ndarray) -> int:
    return int(np.flatnonzero(where)[0])
