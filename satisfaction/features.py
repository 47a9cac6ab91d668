"""What the propensity and satisfaction models read of a user and an item: frozen embeddings and a few attributes.

v_u and v_i of Zhang et al. (section 4.3.1) are an id embedding beside attributes. Here the attributes are rates of the
training days: how often the user clicks, the item is clicked, both are answered "satisfied", and how often they occur.
"""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from data.timelines import Timelines
from satisfaction.embeddings import BaseEmbeddings
from satisfaction.rates import folds, log_odds_rates
from satisfaction.splits import is_click

_PRIOR_COUNT = 10.0


@dataclasses.dataclass(frozen=True)
class PairFeatures:
    """Rows for models: `events(positions)` of impressions, `pairs(users, items)` of any user and item."""

    user: NDArray[np.float32]  # [U, D], scaled to mean square 1
    item: NDArray[np.float32]  # [N + 1, D]
    user_attributes: NDArray[np.float32]  # [U, A_u]
    item_attributes: NDArray[np.float32]  # [N + 1, A_i]
    event_attributes: NDArray[np.float32]  # [E, A_u + A_i], out of fold for training events
    event_user: NDArray[np.int32]  # [E]
    event_item: NDArray[np.int32]  # [E]

    @property
    def num_attributes(self) -> int:
        """A_u + A_i."""
        return self.event_attributes.shape[1]

    def events(self, positions: NDArray[np.int64]) -> dict[str, NDArray[np.float32]]:
        """user, item [B, D] and attributes [B, A] of impressions at positions [B]."""
        users, items = self.event_user[positions], self.event_item[positions]
        return {"user": self.user[users], "item": self.item[items], "attributes": self.event_attributes[positions]}

    def pairs(self, users: NDArray[np.int64], items: NDArray[np.int64]) -> dict[str, NDArray[np.float32]]:
        """The same of users [B] and items [B], dense indices."""
        attributes = np.concatenate([self.user_attributes[users], self.item_attributes[items]], axis=1)
        return {"user": self.user[users], "item": self.item[items], "attributes": attributes}


def make_features(
    base: BaseEmbeddings,
    timelines: Timelines,
    *,
    answers: NDArray[np.int8],
    trained: NDArray[np.bool_],
    seed: int,
    answer_rates: bool,
) -> PairFeatures:
    """The features of `timelines`.

    Args:
      answers: [E] of satisfaction/answers.py. trained: [E], events that may be learned from.
      answer_rates: with the rates of "satisfied" among answers, as they are: of no use where selection is the question.
    """
    user, item = timelines.user_of_event(), np.asarray(timelines.item)
    clicks, fold = is_click(timelines), folds(len(item), seed=seed)
    outcomes = [(clicks, trained)]
    if answer_rates:
        outcomes.append((answers == 1, trained & (answers >= 0)))
    of_events, tables = [], []
    for keys, num_keys in ((user, timelines.num_users), (item, timelines.num_items + 1)):
        counts = np.log1p(np.bincount(keys[trained], minlength=num_keys)).astype(np.float32)
        counts = (counts - counts[keys].mean()) / (counts[keys].std() + 1e-6)
        columns, rows = [counts], [counts[keys]]
        for outcome, observed in outcomes:
            per_event, per_key = log_odds_rates(
                keys, outcome, observed, fold, num_keys=num_keys, prior_count=_PRIOR_COUNT
            )
            columns.append(per_key)
            rows.append(per_event)
        tables.append(np.stack(columns, axis=1))
        of_events += rows
    return PairFeatures(
        user=_scaled(base.user),
        item=_scaled(base.item),
        user_attributes=tables[0],
        item_attributes=tables[1],
        event_attributes=np.stack(of_events, axis=1),
        event_user=user,
        event_item=item,
    )


def _scaled(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return (vectors / max(float(np.sqrt(np.mean(np.square(vectors)))), 1e-12)).astype(np.float32)
