"""How long a SavedModel takes to answer one request after another, as a server would be asked."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from nn.any_folder import load

_WARM = 20  # requests before the timed ones: the first compiles, threads start, memory is claimed

Answer = Mapping[str, tf.Tensor]


def milliseconds(
    folder: str | os.PathLike[str],
    requests: Sequence[Mapping[str, Any]],
    *,
    check: Callable[[Answer], None] = lambda answer: None,
) -> NDArray[np.float64]:
    """[n, 2] of n requests: from a request's tensors to its answer on the host, and the CPU time of all threads then.

    `check` is given the answers of the first requests, which are asked once before any is timed.
    """
    answer = load(folder).signatures["serving_default"]
    ready = [{name: tf.constant(column) for name, column in one.items()} for one in requests]
    for one in ready[:_WARM]:
        check(answer(**one))
    times = []
    for one in ready:
        wall, processor = time.perf_counter(), time.process_time()
        [column.numpy() for column in answer(**one).values()]
        times.append((time.perf_counter() - wall, time.process_time() - processor))
    return 1e3 * np.array(times)


def percentiles(times: NDArray[np.float64]) -> dict[str, float]:
    """`p50_ms` and `p99_ms` of what `milliseconds` gives."""
    return dict(zip(("p50_ms", "p99_ms"), np.percentile(times[:, 0], (50, 99)).tolist(), strict=True))
