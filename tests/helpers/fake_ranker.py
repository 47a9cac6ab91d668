"""Exported rankers small enough to compute by hand, in the folder that `simulation/exported/ranker.py` reads."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.export
import numpy as np

from data.feedback import BITS, DWELL_EDGES_MS
from runtime.artifact import writing
from runtime.formats import RANKER

INPUTS = ["item", "feedback", "surface", "user", "platform", "hour", "gap", "candidate", "rates"]


def write(
    path: Path,
    *,
    probabilities: Callable[..., jax.Array],
    gamma: dict[str, float],
    rates: np.ndarray,
    thresholds: np.ndarray,
    length: int,
    reads: tuple[str, ...] = (),
    without: str = "",
    **fields: Any,
) -> Path:
    """A ranker whose tasks, those of `gamma`, have `probabilities(*INPUTS)` [b, c, K]; rates [N + 1, R], thresholds
    [N + 1, 2]. `fields` replace those of the manifest, from which `without` is left out.
    """
    b, c = jax.export.symbolic_shape("b, c")
    history, of_user = jax.ShapeDtypeStruct((b, length), np.int32), jax.ShapeDtypeStruct((b,), np.int32)
    shapes = [history] * 3 + [of_user] * 3 + [jax.ShapeDtypeStruct((b,), np.float32)]
    shapes += [jax.ShapeDtypeStruct((b, c), np.int32), jax.ShapeDtypeStruct((b, c, rates.shape[1]), np.float32)]
    manifest = {
        **{"tasks": list(gamma), "gamma": gamma, "history_feedback": reads, "length": length},
        **{"num_items": len(rates) - 1, "vocabulary_hash": "x", "surfaces": ["feed"]},
        **{"feedback_bits": BITS, "dwell_edges_ms": DWELL_EDGES_MS, "inputs": INPUTS, **fields},
    }
    kept = {name: value for name, value in manifest.items() if name != without}
    with writing(path, **RANKER._asdict(), fields=kept) as folder:
        (folder / "ranker.jax").write_bytes(jax.export.export(jax.jit(probabilities))(*shapes).serialize())
        np.save(folder / "rates.npy", rates)
        np.save(folder / "thresholds.npy", thresholds)
    return path
