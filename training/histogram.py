"""Percentiles of a positive quantity over a whole run, in a few hundred numbers that a checkpoint can hold."""

import dataclasses
import math
from collections.abc import Iterable

_WIDTH = 0.02  # of a bin, in natural logarithms: a percentile is right to within 1%


@dataclasses.dataclass
class LogHistogram:
    """How many values fell into each bin [exp(0.02 b), exp(0.02 (b + 1))); zeros are counted apart."""

    bins: dict[str, int] = dataclasses.field(default_factory=dict)  # keys as JSON keeps them
    zeros: int = 0
    largest: float = 0.0

    def add(self, values: Iterable[float]) -> None:
        """Counts values that are finite and not negative."""
        for value in values:
            self.largest = max(self.largest, value)
            if value == 0:
                self.zeros += 1
            else:
                name = str(math.floor(math.log(value) / _WIDTH))
                self.bins[name] = self.bins.get(name, 0) + 1

    def percentile(self, q: float) -> float:
        """The smallest value with at least q% of all values at or below it, to within 1%; NaN where there is none."""
        total = self.zeros + sum(self.bins.values())
        wanted, below = math.ceil(q / 100 * total), self.zeros
        if not total:
            return math.nan
        if below >= wanted:
            return 0.0
        for name in sorted(self.bins, key=int):
            below += self.bins[name]
            if below >= wanted:
                return min(math.exp((int(name) + 0.5) * _WIDTH), self.largest)
        return self.largest

    def summary(self, name: str) -> dict[str, float]:
        """`<name>/p50`, `/p90`, `/p99` and `/max`, as metrics.json has them; empty without values."""
        if not self.zeros and not self.bins:
            return {}
        figures = {f"{name}/p{q}": self.percentile(q) for q in (50, 90, 99)}
        return {**figures, f"{name}/max": self.largest}
