"""What a training loop reports: means of the step's metrics, the largest gradient, and examples and labels a second.

Metrics stay on the device until they are read, a window of steps later, so that reading them never holds it up.
"""

import dataclasses
import math
import time
from collections.abc import Iterator, Mapping

import jax
import numpy as np

from training.histogram import LogHistogram

COUNTS = "labels"  # the metric that counts targets; it is summed, not averaged


@dataclasses.dataclass
class Throughput:
    """Examples, labels and seconds of training, without compilation, evaluation and checkpoints."""

    examples: int = 0
    labels: float = 0.0
    seconds: float = 0.0

    def rates(self) -> dict[str, float]:
        """Metric name -> value; empty where nothing has been timed."""
        if not self.seconds:
            return {}
        labels = {"labels_per_second": self.labels / self.seconds} if self.labels else {}
        return {"examples_per_second": self.examples / self.seconds, **labels}


class NonFiniteError(Exception):
    """A loss or gradient that is not finite: `step` is the first one, `name` the metric."""

    def __init__(self, step: int, name: str, value: float) -> None:
        super().__init__(f"{name} is {value} at step {step}")
        self.step = step


class Meter:
    """Collects the metrics of steps; `total` is the throughput since the start of the run, and `grad_norms` holds the
    gradient norm of every step."""

    def __init__(self, total: Throughput, grad_norms: LogHistogram) -> None:
        self.total = total
        self.grad_norms = grad_norms
        self._steps: list[tuple[int, int, Mapping[str, jax.Array]]] = []  # step, examples, metrics
        self._windows: list[list[tuple[int, int, Mapping[str, jax.Array]]]] = []
        self._clock: float | None = None

    def add(self, step: int, metrics: Mapping[str, jax.Array], *, examples: int) -> None:
        """Takes the metrics of a step, which may not have been computed yet."""
        self._steps.append((step, examples, metrics))

    def windows(self, *, wait: bool) -> Iterator[tuple[int, dict[str, float]]]:
        """Closes the window; yields (last step, metrics) of the one before, and of this one too if told to `wait`.

        Errors: NonFiniteError at the first step whose loss or gradient norm is not finite.
        """
        for _, _, metrics in self._steps:
            for value in metrics.values():
                value.copy_to_host_async()
        if self._steps:
            self._windows.append(self._steps)
            self._steps = []
        while len(self._windows) > (0 if wait else 1):
            yield self._read(self._windows.pop(0))

    def start_clock(self) -> None:
        """What happened since the last window is not training."""
        self._clock = time.perf_counter()

    def _read(self, window: list[tuple[int, int, Mapping[str, jax.Array]]]) -> tuple[int, dict[str, float]]:
        fetched = jax.device_get([metrics for _, _, metrics in window])
        now = time.perf_counter()
        for (step, _, _), metrics in zip(window, fetched, strict=True):
            for name in ("loss", "grad_norm"):
                if not math.isfinite(metrics[name]):
                    raise NonFiniteError(step, name, float(metrics[name]))
        norms = [float(metrics["grad_norm"]) for metrics in fetched]
        self.grad_norms.add(norms)
        means = {name: float(np.mean([m[name] for m in fetched])) for name in fetched[0] if name != COUNTS}
        span = Throughput(sum(n for _, n, _ in window), float(sum(m.get(COUNTS, 0.0) for m in fetched)))
        if self._clock is not None:
            span.seconds = now - self._clock
            self._clock = now
            self.total.examples += span.examples
            self.total.labels += span.labels
            self.total.seconds += span.seconds
        report = {f"train_{name}" if name == "loss" else f"train/{name}": mean for name, mean in means.items()}
        return window[-1][0], {**report, "train/grad_norm_max": max(norms), **span.rates()}
