"""A log in which an embedding of the items alone tells what users like: what a tower has to read."""

import numpy as np

from data import timelines
from data.timelines import EVENT_DTYPES, USER_DTYPES, Timelines
from tests.logs import random_timelines

GROUPS, SIZE = 4, 6


def write(folder, *, users=48, events=20, num_items=60, unseen=20, seed=0):
    """Users like the items of one of four groups, items j of one j mod 4; the last `unseen` are of no training event.

    The embedding has a direction for each group, and noise; item 3 has none. There is no other content.
    """
    sizes = {"lengths": np.full(users, events), "num_items": num_items, "unseen": unseen}
    log = random_timelines.write(folder / "loyal", **sizes, loyal=True, seed=seed, without=("dislike",))
    group = np.arange(num_items + 1) % GROUPS
    noise = np.random.default_rng(seed).normal(size=(num_items + 1, SIZE))
    embeddings = 5 + np.eye(SIZE)[group] + 0.2 * noise
    embeddings[[0, 3]] = 0
    kept = ("vocabulary_hash", "feedback", "valid_start_ms", "test_start_ms", "end_ms")
    fields = {name: log.manifest[name] for name in kept}
    timelines.write(
        folder / "log",
        arrays={name: getattr(log, name) for name in (*EVENT_DTYPES, *USER_DTYPES)},
        items=log.items.with_columns(creator=0, cluster=0, creator_id=None, cluster_id=None),
        users=log.users,
        embeddings=embeddings,
        fields={**fields, "item_features": [], "item_embeddings": [{"name": "item.look", "size": SIZE}]},
    )
    return Timelines.open(folder / "log")


def auc_of_new_items(log, scores, *, unseen=20):
    """How often a new item of a user's group is before a new one of another group, ties half; .5 is chance.

    scores [users, N + 1]: of every user for every item.
    """
    new = np.arange(log.num_items + 1 - unseen, log.num_items + 1)
    own = new % GROUPS == (np.arange(log.num_users) % GROUPS)[:, None]  # [users, new]
    found = scores[:, new]
    pairs = [(row[mine][:, None] - row[~mine][None]).ravel() for row, mine in zip(found, own, strict=True)]
    difference = np.concatenate(pairs)
    return float((difference > 0).mean() + (difference == 0).mean() / 2)
