"""Slates before and after a "no", item by item, for a person to read: the first few users, not a selection."""

from typing import Any

import polars as pl

from simulation.responsiveness import KINDS, Outcome
from simulation.trajectories import Plan


def examples(
    outcome: Outcome, plan: Plan, items: pl.DataFrame, *, users: int, recent: int = 5, shown: int = 10
) -> list[dict[str, Any]]:
    """For each of the first `users`: the last `recent` items with the action on each, the item where the history
    branches, and the top `shown` of each branch's slate, marked where they share that item's creator or content.

    Items are given by original ids: {"item_id", "creator_id", "cluster_id"}, as far as the table has them; slate
    entries also {"same_content", "same_creator"}.
    """
    ids = [name for name in ("item_id", "creator_id", "cluster_id") if name in items.columns]
    labels = {kind: items[column].to_numpy() for kind, column in KINDS.items() if column in items.columns}

    def entry(index: int) -> dict[str, Any]:
        return items.select(ids).row(int(index), named=True)

    def compared(index: int, last: int) -> dict[str, Any]:
        same = {f"same_{kind}": bool(label[index] == label[last] != 0) for kind, label in labels.items()}
        return {**entry(index), **same}

    def example(user: int) -> dict[str, Any]:
        *before, last = outcome.history[user]
        names = [plan.actions[action].name for action in plan.action[user]]
        return {
            "user": user,
            "history": [{**entry(i), "action": name} for i, name in list(zip(before, names, strict=True))[-recent:]],
            "item": entry(last),
            "slates": {
                branch.name: [compared(i, last) for i in slate[user, :shown]]
                for branch, slate in zip(outcome.branches, outcome.slates, strict=True)
            },
        }

    return [example(user) for user in range(min(users, len(outcome.history)))]
