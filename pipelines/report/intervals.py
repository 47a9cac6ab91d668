"""Figures with their 95% intervals, as numbers and as sentences."""

from collections.abc import Mapping

from metrics.intervals import Interval

Metrics = Mapping[str, float]


class Point(Interval):
    """A value with its 95% interval, as a report speaks of it."""

    @property
    def holds_zero(self) -> bool:
        """Whether the value cannot be told from nothing."""
        return self.low <= 0 <= self.high


def interval(metrics: Metrics, name: str) -> Point | None:
    """A metric with its bounds, or None where it was not measured."""
    if name not in metrics:
        return None
    value = metrics[name]
    return Point(value, metrics.get(f"{name}/low", value), metrics.get(f"{name}/high", value))


def apart(points: Mapping[str, Point]) -> tuple[dict[str, Point], dict[str, Point], dict[str, Point]]:
    """Those that are above zero with their whole interval, those that hold zero, those below it."""
    above = {name: point for name, point in points.items() if point.low > 0}
    below = {name: point for name, point in points.items() if point.high < 0}
    return above, {name: point for name, point in points.items() if point.holds_zero}, below


def signed(share: float) -> str:
    """−12.3%, with a true minus sign; exactly nothing is 0%."""
    return minus(f"{share:+.1%}") if share else "0%"


def precise(share: float) -> str:
    """−2.44%."""
    return minus(f"{share:+.2%}")


def minus(text: str) -> str:
    """The same with a true minus sign."""
    return text.replace("-", "−")


def in_words(point: Point) -> str:
    """A relative change for a reader: what it is, and whether it can be told from nothing."""
    if point.low == point.high == 0:
        return "stays as it is"
    verb = "falls" if point.value < 0 else "rises"
    if point.low == point.high:
        return f"{verb} by {abs(point.value):.1%}"
    if point.holds_zero:
        return f"does not change measurably (95% interval {signed(point.low)} to {signed(point.high)})"
    low, high = sorted((abs(point.low), abs(point.high)))
    return f"{verb} by {abs(point.value):.1%} (95% interval {low:.1%} to {high:.1%})"
