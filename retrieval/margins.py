"""Margins of a batch's labels against the corpus: exact, or against a sample of it. One is chosen for a run."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from ml_collections import ConfigDict

from encoders.labels import Asked
from nn.softmax import corpus_bias, label_margins, sampled_label_margins
from retrieval import negatives

MarginsFn = Callable[[Asked, jax.Array], jax.Array]
"""(labels [rows], key) -> margins [rows], of nn/softmax.py."""
Sampler = Callable[[jax.Array, Asked], negatives.Candidates]


def exact(config: ConfigDict, *, num_items: int, label_counts: np.ndarray, mesh: Mesh | None) -> MarginsFn:
    """Against all items 1..`num_items`, in blocks of `config.block_size`."""
    bias = corpus_bias(len(label_counts), num_items)
    options = {"block_size": config.block_size, "item_bias": bias, "mesh": mesh}
    return lambda asked, key: label_margins(asked.queries, asked.vectors, asked.item, where=asked.where, **options)


def sampled(config: ConfigDict, *, num_items: int, label_counts: np.ndarray, mesh: Mesh | None) -> MarginsFn:
    """Against the candidates of the sampler `config.softmax`, each corrected by how often it was to be expected."""
    sampler = SAMPLERS[config.softmax](config, label_counts[: num_items + 1])

    def margins(asked: Asked, key: jax.Array) -> jax.Array:
        ids, log_expected = sampler(key, asked)
        own, vectors = asked.vectors[asked.item], asked.vectors[ids]
        return sampled_label_margins(asked.queries, vectors, ids, log_expected, own, asked.item, where=asked.where)

    return margins


def _uniform(config: ConfigDict, counts: np.ndarray) -> Sampler:
    options = {"num_candidates": config.num_candidates, "num_items": len(counts) - 1}
    return lambda key, asked: negatives.uniform(key, **options)


def _log_uniform(config: ConfigDict, counts: np.ndarray) -> Sampler:
    by_popularity = jnp.asarray(1 + np.argsort(-counts[1:], kind="stable"), jnp.int32)
    options = {"num_candidates": config.num_candidates, "by_popularity": by_popularity}
    return lambda key, asked: negatives.log_uniform(key, **options)


def _in_batch(config: ConfigDict, counts: np.ndarray) -> Sampler:
    frequency = _frequency(counts)
    return lambda key, asked: negatives.in_batch(asked.item, where=asked.where, label_frequency=frequency)


def _mixed(config: ConfigDict, counts: np.ndarray) -> Sampler:
    options = {"label_frequency": _frequency(counts), "num_candidates": config.num_candidates}
    return lambda key, asked: negatives.mixed(key, asked.item, where=asked.where, **options)


def _frequency(counts: np.ndarray) -> jax.Array:
    return jnp.asarray(counts / max(counts.sum(), 1), jnp.float32)


SAMPLERS: dict[str, Callable[[ConfigDict, np.ndarray], Sampler]] = {
    "uniform": _uniform,
    "log_uniform": _log_uniform,
    "in_batch": _in_batch,
    "mixed": _mixed,
}
MARGINS: dict[str, Callable[..., MarginsFn]] = {"exact": exact, **dict.fromkeys(SAMPLERS, sampled)}
"""Names of --config.softmax."""
