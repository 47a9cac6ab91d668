"""Draws in proportion to weights, by inverting their cumulative sum at uniform random numbers.

Whoever holds the uniforms decides what is drawn, so that two recommenders can be given the same luck.
"""

import numpy as np

from data import ranges


def choose(weights: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
    """One place of each row of weights [..., k], not all 0, by uniforms [...] in [0, 1); none of weight 0."""
    cumulative = np.cumsum(weights, axis=-1)
    places = (cumulative <= uniforms[..., None] * cumulative[..., -1:]).sum(axis=-1)
    return np.minimum(places, weights.shape[-1] - 1)


class GroupSampler:
    """Draws items of a given group (cluster or creator) with probability proportional to their weight."""

    def __init__(self, group: np.ndarray, weight: np.ndarray, groups: int):
        """`group` [N] ints below `groups`, `weight` [N] positive."""
        self._order = np.argsort(group, kind="stable")
        self._cumulative = ranges.sums_before(weight[self._order])
        self._start = np.searchsorted(group[self._order], np.arange(groups + 1))

    def draw(self, groups: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
        """One item [n] of each group [n]; `uniforms` [n] in [0, 1). The groups must not be empty."""
        first, last = self._start[groups], self._start[groups + 1]
        low, high = self._cumulative[first], self._cumulative[last]
        place = np.searchsorted(self._cumulative, low + uniforms * (high - low), side="right") - 1
        return self._order[np.clip(place, first, last - 1)]
