"""How much of what a user took was of each category, counted.

With x_jc the share of category c in item j (1 / k for each of its k categories), of each user

    n_c ← γ n_c + r x_ic,  n ← γ n + r  after an event with item i; r = 0 for what was turned down, else 1
    the score of item j goes on with  a Σ_c x_jc log( (n_c + m P_c) / ((n + m) P_c) )

P_c being the share of c in what all users took. The logarithm is that of P(c | user) / P(c), smoothed as in the rule
`counts` (retrieval/simple_rules.py): how much more of c this user takes than others do. It is an inner product of what
is counted of a user with the shares of an item, which an index can search.

A no to item i sends away what was counted of its categories, and a yes to one, a like or a long view, brings half of
that back, with s_c = x_ic / max_c x_ic:

    no:   l_c ← l_c + s_c n_c,  n_c ← (1 − s_c) n_c
    yes:  n_c ← n_c + s_c l_c / 2,  l_c ← (1 − s_c / 2) l_c

So one no leaves a category where it is for those who never took anything of it. Nothing is learned.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from data.feedback import has
from data.items.content import ItemContent
from data.timelines import Timelines
from retrieval.counted import Arrays, one_by_one
from retrieval.counted.reactions import Read
from retrieval.simple_rules import TURNED_DOWN

FEATURE = "cluster"  # of the items of a log: their categories
MOST = 128  # categories that are told apart, those that are taken most; each is a number of every item's vector
_BROUGHT_BACK = 0.5  # of what a no has sent away, by a yes


def count(timelines: Timelines, until: str, config: ConfigDict) -> Arrays:
    """Which categories are told apart, of what users took until a moment of `Timelines.until`.

    Returns: `columns` [K], those of the items' codes that are categories; `places` int32, for each code the place of
    its category, 1 to C, 0 for one that is not told apart; `shares` [C] float32, P_c. C = 0 in a log without any.
    """
    del config
    content = timelines.item_content()
    columns = [n for n, owner in enumerate(content.owner) if content.names[owner] == FEATURE]
    codes = content.codes[:, columns]
    before = np.arange(len(timelines.item)) < timelines.until(until)[0][timelines.user_of_event()]
    taken = timelines.item[before & ~has(timelines.feedback, *TURNED_DOWN)]
    weight = 1.0 / np.maximum((codes > 0).sum(axis=1), 1)  # of each code of an item
    there = np.bincount(codes.ravel(), minlength=1) > 0
    totals = there.astype(np.float64)  # one more than counted: what nobody has taken yet is not impossible
    for column in codes.T:
        totals += np.bincount(column[taken], weight[taken], minlength=len(totals))
    there[0], totals[0] = False, 0.0
    kept = np.argsort(-totals, kind="stable")[: min(MOST, there.sum())]
    places = np.zeros(len(totals), np.int32)
    places[kept] = np.arange(1, len(kept) + 1)
    shares = (totals[kept] / max(totals.sum(), 1.0)).astype(np.float32)
    return {"columns": np.array(columns, np.int32), "places": places, "shares": shares}


class Categories:
    """What a user took of each category, in numbers C: `retrieval.counted.Part`."""

    def __init__(self, counted: Arrays, content: ItemContent, config: ConfigDict, *, weight: float):
        """Args: of `count`; the items' content; the run's config, configs/retrieval.py; a."""
        self._columns, self._places, self._shares = counted["columns"], counted["places"], counted["shares"]
        self._scale = weight**0.5  # half of it on either side, so that an index sees both at like lengths
        self._decay, self._prior = config.category_decay, config.category_prior
        self.vectors = self.of_content(jnp.asarray(content.codes))

    @property
    def state_size(self) -> int:
        """n_c and l_c of every category, and n."""
        return 2 * len(self._shares) + 1

    def after(self, vectors: Any, events: Read) -> jax.Array:
        """States after histories [B, T]: [B, state]. `vectors` are √a x."""
        return one_by_one(self, vectors, events)

    def step(self, state: jax.Array, vectors: Any, event: Read) -> jax.Array:
        """One event each [B] onto states [B, state]."""
        count, lost, total = self._split(state)
        share = vectors[event.item] / self._scale  # [B, C]
        strength = share / share.max(axis=-1, keepdims=True, initial=1e-6)
        count, lost, total = (self._decay * counted for counted in (count, lost, total))
        away = jnp.where(event.said_no[:, None], strength * count, 0.0)
        back = jnp.where(event.said_yes[:, None], _BROUGHT_BACK * strength * lost, 0.0)
        taken = event.taken[:, None]
        return jnp.concatenate([count - away + back + taken * share, lost + away - back, total + taken], axis=-1)

    def queries(self, states: jax.Array) -> jax.Array:
        """√a log( (n_c + m P_c) / ((n + m) P_c) ) of states [..., state]: [..., C]."""
        count, _, total = self._split(states)
        expected = self._prior * self._shares
        return self._scale * jnp.log((count + expected) / ((total + self._prior) * self._shares))

    def of_content(self, codes: jax.Array) -> jax.Array:
        """√a x of items with these codes: [b, C]. A code that is not told apart, or not known, is of no category."""
        codes = codes[:, self._columns]
        known = (codes > 0) & (codes < len(self._places))
        place = jnp.asarray(self._places)[jnp.where(known, codes, 0)]  # [b, K]
        each = 1.0 / jnp.maximum((codes > 0).sum(axis=1, keepdims=True), 1)
        members = place[..., None] == jnp.arange(1, len(self._shares) + 1)
        return self._scale * (members * each[..., None]).sum(axis=1)

    def _split(self, state: jax.Array) -> list[jax.Array]:
        return jnp.split(state, [len(self._shares), 2 * len(self._shares)], axis=-1)
