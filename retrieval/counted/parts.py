"""The parts there are, by the names that `config.counted` lists, and those of a model, made of what was counted."""

import functools
from collections.abc import Callable, Mapping
from typing import NamedTuple

from ml_collections import ConfigDict

from data.items.content import ItemContent
from data.timelines import Timelines
from retrieval.counted import Arrays, Part, categories, covisitation, popularity


class Kind(NamedTuple):
    """How a part is counted, of what lies in a log before a moment, and made of that at a `weight`; and whether, by a
    run's config, it says something at weight 0 too.
    """

    counted: Callable[[Timelines, str, ConfigDict], Arrays]
    make: Callable[..., Part]
    without_weight: Callable[[ConfigDict], bool] = lambda _: False


KINDS: Mapping[str, Kind] = {
    "covisitation": Kind(covisitation.count, covisitation.CoVisitation, covisitation.speaks_of_noes),
    "categories": Kind(categories.count, categories.Categories),
    "popularity": Kind(functools.partial(popularity.count, days=0), popularity.Popularity),
    "popularity_1d": Kind(functools.partial(popularity.count, days=1), popularity.Popularity),
    "popularity_7d": Kind(functools.partial(popularity.count, days=7), popularity.Popularity),
}


def made(
    counted: Mapping[str, Arrays], weights: Mapping[str, float], content: ItemContent, config: ConfigDict
) -> list[Part]:
    """Those among `weights` that say something, in the order of `KINDS`."""
    return [
        kind.make(counted[name], content, config, weight=weights[name])
        for name, kind in KINDS.items()
        if name in weights and (weights[name] or kind.without_weight(config))
    ]
