"""Slates before and after a "no", item by item, for a person to read: the first few users, not a selection."""

from typing import Any

import numpy as np
import polars as pl

from simulation.counterfactual.actions import Action
from simulation.counterfactual.responsiveness import Outcome
from simulation.counterfactual.similarity import known_kinds


def examples(
    outcome: Outcome, items: pl.DataFrame, *, users: int, recent: int = 5, shown: int = 10
) -> list[dict[str, Any]]:
    """For each of the first `users`: the last `recent` items with the action on each, the item where the history
    branches, and the top `shown` of each branch's slate, marked where they share that item's creator or content.

    Items are given by original ids: {"item_id", "creator_id", "cluster_id", "title"}, as far as the table knows any; of
    history and slates also {"same_content", "same_creator"}. `shares` counts these over the whole slate, {branch:
    {"content", "creator"}}; `place_before` is a shown item's place, from 1, in the whole slate of the first branch,
    None where it is not in it.
    """
    past, known = outcome.past, known_kinds(items)
    columns = ("item_id", "title", *(f"{column}_id" for column in known.values()))
    ids = [name for name in columns if name in items.columns]
    labels = {kind: items[column].to_numpy() for kind, column in known.items()}

    def entry(index: int) -> dict[str, Any]:
        return items.select(ids).row(int(index), named=True)

    def compared(index: int, last: int) -> dict[str, Any]:
        return {**entry(index), **{f"same_{kind}": bool(_same(label, index, last)) for kind, label in labels.items()}}

    def example(user: int) -> dict[str, Any]:
        last, before = past.last[user], np.flatnonzero(past.item[user])[-recent:]
        slates = {branch.name: outcome.slates[n, 0, user] for n, branch in enumerate(outcome.branches)}
        first = next(iter(slates.values())).tolist()
        return {
            "user": user,
            "history": [
                {
                    **compared(past.item[user, t], last),
                    "action": Action.of_event(past.dwell[user, t], past.feedback[user, t]).name,
                }
                for t in before
            ],
            "item": entry(last),
            "slates": {
                name: [
                    {**compared(i, last), "place_before": first.index(i) + 1 if i in first else None}
                    for i in slate[:shown].tolist()
                ]
                for name, slate in slates.items()
            },
            "shares": {
                name: {kind: int(_same(label, slate, last).sum()) for kind, label in labels.items()}
                for name, slate in slates.items()
            },
        }

    return [example(user) for user in range(min(users, past.num_users))]


def _same(label: np.ndarray, index: np.ndarray | int, last: int) -> np.ndarray:
    return (label[index] == label[last]) & (label[last] != 0)
