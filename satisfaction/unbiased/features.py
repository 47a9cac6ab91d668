"""What the propensity and satisfaction models read of a user and an item: frozen embeddings and a few attributes.

v_u and v_i of Zhang et al. (section 4.3.1) are an id embedding beside attributes. Here the attributes are rates of the
training days: how often the user clicks, the item is clicked, and the user clicks what is in the item's cluster; how
often answers of the user, and about the item, say "satisfied"; and how many events each rate rests on. The propensity
model also reads how often a questionnaire is shown, and answered, to the user, about the item, and to the user about
what is in the item's cluster: whom a platform asks about what is in its log.

Both are out of fold (satisfaction/unbiased/out_of_fold.py), v_u as the rates: the mean vector of a user's clicks lies
nearest to what was clicked, so that with an event's own click in it the cosine of v_u and v_i would tell of training
events whether they were clicked, and of no others.
"""

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.timelines import Timelines
from satisfaction.saqrec.embeddings import BaseEmbeddings, mean_vectors
from satisfaction.splits import is_click, is_earlier
from satisfaction.unbiased.out_of_fold import FOLDS, folds, log_odds_rates

_PRIOR_COUNT = 10.0
_PRIOR_COUNT_OF_CLUSTER = 3.0


@dataclasses.dataclass(frozen=True)
class PairFeatures:
    """Rows for models: `events(positions)` of impressions, `pairs(users, items)` of any user and item."""

    user: NDArray[np.float32]  # [FOLDS + 1, U, D], v_u without the clicks of each fold, at last with all; scaled
    item: NDArray[np.float32]  # [N + 1, D], scaled to mean square 1, as v_u of all clicks
    user_attributes: NDArray[np.float32]  # [U, A_u]
    item_attributes: NDArray[np.float32]  # [N + 1, A_i]
    cluster: NDArray[np.int32]  # [N + 1], 0 unknown
    crossed: NDArray[np.int64]  # [K] ascending, user · clusters + cluster, of which there are events
    crossed_attributes: NDArray[np.float32]  # [K + 1, A_x], the last row is of a user and a cluster that never met
    event_attributes: NDArray[np.float32]  # [E, A], A = A_u + A_i + A_x, out of fold for training events
    event_fold: NDArray[np.int8]  # [E], whose v_u describes it: its fold for training events, FOLDS for others
    event_user: NDArray[np.int32]  # [E]
    event_item: NDArray[np.int32]  # [E]

    @property
    def num_attributes(self) -> int:
        """A."""
        return self.event_attributes.shape[1]

    def events(self, positions: NDArray[np.int64]) -> dict[str, NDArray[np.float32]]:
        """user, item [B, D] and attributes [B, A] of impressions at positions [B]."""
        users, items = self.event_user[positions], self.event_item[positions]
        return {
            "user": self.user[self.event_fold[positions], users],
            "item": self.item[items],
            "attributes": self.event_attributes[positions],
        }

    def pairs(self, users: NDArray[np.int64], items: NDArray[np.int64]) -> dict[str, NDArray[np.float32]]:
        """The same of users [B] and items [B], dense indices."""
        key = crossed_keys(users, self.cluster[items], self.cluster)
        place = np.searchsorted(self.crossed, key)
        met = np.append(self.crossed, -1)[place] == key
        attributes = (
            self.user_attributes[users],
            self.item_attributes[items],
            self.crossed_attributes[np.where(met, place, len(self.crossed))],
        )
        return {
            "user": self.user[FOLDS, users],
            "item": self.item[items],
            "attributes": np.concatenate(attributes, axis=1),
        }


def crossed_keys(users: NDArray[Any], clusters: NDArray[np.int32], known: NDArray[np.int32]) -> NDArray[np.int64]:
    """One number for each user and cluster; `known` are all clusters' codes."""
    return users.astype(np.int64) * (int(known.max()) + 1) + clusters


def make_features(
    base: BaseEmbeddings,
    timelines: Timelines,
    *,
    answers: NDArray[np.int8],
    trained: NDArray[np.bool_],
    seed: int,
    answer_rates: bool,
    asking_rates: bool = False,
) -> PairFeatures:
    """The features of `timelines`.

    Args:
      answers: [E] of satisfaction/unbiased/answers.py. trained: [E], events that may be learned from.
      answer_rates: with the rates of "satisfied" among answers.
      asking_rates: with the rates of questionnaires shown and answered.
    """
    user, item = timelines.user_of_event(), np.asarray(timelines.item)
    cluster = timelines.items["cluster"].fill_null(0).to_numpy().astype(np.int32)
    fold = folds(len(item), seed=seed)
    clicks, asked = is_click(timelines), trained & ~is_earlier(timelines)
    clicked = (clicks, trained)
    satisfied = [(answers == 1, asked & (answers >= 0))] if answer_rates else []
    shown = np.asarray(timelines.questionnaire_shown).astype(bool)
    asking = [(shown, asked), (answers >= 0, asked)] if asking_rates else []
    outcomes = [clicked, *satisfied, *asking]

    def rates(keys, num_keys, outcome, prior_count):
        happened, observed = outcome
        return log_odds_rates(keys, happened, observed, trained, fold, num_keys=num_keys, prior_count=prior_count)

    def joined(parts):
        # Centred and scaled by the training events: counts would else be nearly a second intercept.
        seen = np.concatenate([per_event for per_event, _ in parts], axis=1)
        mean, scale = seen[trained].mean(axis=0), np.maximum(seen[trained].std(axis=0), 1e-3)
        tables = np.concatenate([per_key for _, per_key in parts], axis=1)
        return ((seen - mean) / scale).astype(np.float32), ((tables - mean) / scale).astype(np.float32)

    of_user = [rates(user, timelines.num_users, outcome, _PRIOR_COUNT) for outcome in outcomes]
    of_item = [rates(item, timelines.num_items + 1, outcome, _PRIOR_COUNT) for outcome in outcomes]
    crossed, index = np.unique(crossed_keys(user, cluster[item], cluster), return_inverse=True)
    of_pair = [
        rates(index.astype(np.int32), len(crossed) + 1, outcome, _PRIOR_COUNT_OF_CLUSTER)
        for outcome in (clicked, *asking)
    ]
    (event_user, per_user), (event_item, per_item), (event_pair, per_pair) = map(joined, (of_user, of_item, of_pair))
    return PairFeatures(
        user=_out_of_fold(base, user, item, clicks & trained, fold),
        item=base.item / _size(base.item),
        user_attributes=per_user,
        item_attributes=per_item,
        cluster=cluster,
        crossed=crossed,
        crossed_attributes=per_pair,
        event_attributes=np.concatenate([event_user, event_item, event_pair], axis=1),
        event_fold=np.where(trained, fold, FOLDS).astype(np.int8),
        event_user=user,
        event_item=item,
    )


def _out_of_fold(
    base: BaseEmbeddings,
    user: NDArray[np.int32],
    item: NDArray[np.int32],
    clicked: NDArray[np.bool_],
    fold: NDArray[np.int8],
) -> NDArray[np.float32]:
    # v_u of the events `clicked`: sums over the other folds, as what is left of a difference is no zero.
    found = np.empty((FOLDS + 1, *base.user.shape), np.float32)
    for left_out in range(FOLDS):
        at = np.flatnonzero(clicked & (fold != left_out))
        found[left_out] = mean_vectors(base.item, user[at], item[at], num_users=len(base.user))
    found[FOLDS] = base.user
    found /= _size(base.user)
    return found  # [FOLDS + 1, U, D]


def _size(vectors: NDArray[np.float32]) -> np.float32:
    # Root mean square.
    return np.float32(max(float(np.sqrt(np.mean(np.square(vectors)))), 1e-12))
