"""The parts there are, by the names that `config.counted` lists, and those of a model, made of what was counted."""

import functools
from collections.abc import Callable, Mapping
from typing import NamedTuple

from ml_collections import ConfigDict

from data.items.content import ItemContent
from data.timelines import Timelines
from retrieval.counted import Arrays, Part, categories, covisitation, popularity


class Kind(NamedTuple):
    """How a part is counted, of what lies in a log before a moment, and made of that at a `weight`, and at a
    `noes_weight` where it has one: the name of that among the weights.
    """

    counted: Callable[[Timelines, str, ConfigDict], Arrays]
    make: Callable[..., Part]
    noes: str | None = None


NOES = "covisitation_noes"
KINDS: Mapping[str, Kind] = {
    "covisitation": Kind(covisitation.count, covisitation.CoVisitation, NOES),
    "categories": Kind(categories.count, categories.Categories),
    "popularity": Kind(functools.partial(popularity.count, days=0), popularity.Popularity),
    "popularity_1d": Kind(functools.partial(popularity.count, days=1), popularity.Popularity),
    "popularity_7d": Kind(functools.partial(popularity.count, days=7), popularity.Popularity),
}


def made(
    counted: Mapping[str, Arrays], weights: Mapping[str, float], content: ItemContent, config: ConfigDict
) -> list[Part]:
    """Those among `weights` that say something, in the order of `KINDS`."""
    parts = []
    for name, kind in KINDS.items():
        own = own_weights(name, weights)
        if any(own.values()):
            parts.append(kind.make(counted[name], content, config, **own))
    return parts


def own_weights(name: str, weights: Mapping[str, float]) -> dict[str, float]:
    """Those of one part among `weights`, as its kind is made of them."""
    noes = KINDS[name].noes
    return {"weight": weights.get(name, 0.0)} | ({"noes_weight": weights.get(noes, 0.0)} if noes else {})
