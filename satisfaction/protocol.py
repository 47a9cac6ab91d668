"""The paper's evaluation protocol: each user's held-out click among 99 items that the user never clicked.

Zhang et al., section 5.1.2. The items are drawn uniformly from the corpus, without replacement, with a seed, once for
every model that is measured, and are saved: figures are comparable only on the same draws. The validation that ends a
training draws its own, with another seed: what was chosen on some draws is measured on others.
"""

import os
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from data import ranges
from metrics import ranking
from runtime.errors import DataError
from satisfaction.kept_arrays import kept
from satisfaction.saqrec.clicks import Clicks

NEGATIVES = 99
FILE = "negatives.npz"


def draw_negatives(clicks: Clicks, users: NDArray[np.int64], *, seed: int, count: int = NEGATIVES) -> NDArray[np.int32]:
    """[Q, count] corpus items that none of the user's clicks, held-out ones included, is on; no item twice a row.

    Errors: DataError where a user has clicked so much that fewer than `count` items are left.
    """
    rows, items = clicks.clicked(users)
    clicked = ranges.distinct(rows * (clicks.num_items + 1) + items)
    begin = np.searchsorted(clicked, np.arange(len(users) + 1) * (clicks.num_items + 1))
    left = clicks.num_items + 1 - np.diff(begin)
    if left.min(initial=clicks.num_items) < count:
        fewest = left.min(initial=clicks.num_items)
        raise DataError(f"a user has only {fewest} items never clicked, {count} are drawn: give a log of more items")
    rng = np.random.default_rng(seed)
    drawn = np.empty((len(users), count), np.int32)
    for q in range(len(users)):
        own = clicked[begin[q] : begin[q + 1]] - q * (clicks.num_items + 1)  # rising
        place = rng.choice(left[q], count, replace=False)  # among those that are left
        drawn[q] = place + np.searchsorted(own - np.arange(len(own)), place, side="right")
    return drawn


def saved_negatives(
    folder: str | os.PathLike[str], clicks: Clicks, *, seed: int, split: str = "test"
) -> NDArray[np.int32]:
    """The negatives of the users with a click in `split`: those saved in `folder`, else drawn and saved there.

    Errors: DataError where the file is of another corpus or seed.
    """
    users, _ = clicks.targets(split)
    file = Path(folder) / FILE

    def draw() -> dict[str, ArrayLike]:
        return {"users": users, "items": clicks.corpus[draw_negatives(clicks, users, seed=seed)], "seed": seed}

    saved = kept(file, draw)
    if int(saved["seed"]) != seed or not np.array_equal(saved["users"], users):
        raise DataError(f"{file}: drawn for other users or another seed; delete it to draw again")
    items = saved["items"]
    known = items < len(clicks.code)
    drawn = clicks.code[np.where(known, items, 0)]
    drawn = np.where(drawn <= clicks.num_items, drawn, 0)
    if not drawn.all():
        raise DataError(
            f"{file}: holds item {int(items[drawn == 0][0])}, which the corpus has not; delete it to draw again"
        )
    return drawn


def places_among(
    scores: NDArray[np.floating], targets: NDArray[np.integer], negatives: NDArray[np.integer]
) -> NDArray[np.float64]:
    """Places [B, 2] of each target among itself and its negatives (metrics/ranking.py), of scores [B, n + 1]."""
    candidates = np.concatenate([np.asarray(targets)[:, None], negatives], axis=1)  # [B, 1 + count]
    own_and_others = np.take_along_axis(np.asarray(scores), candidates, axis=1)
    return ranking.target_places(own_and_others, np.zeros((len(own_and_others), 1), np.int64))[:, 0]
