"""Margins of a batch's labels against the corpus: exact, or against a sample of it. One is chosen for a run.

The corpus of a label is what was there when it was asked: an item that is uploaded later was no choice then, and would
learn from having been none that it is not to be recommended. With --config.among_unmet it is what of that the user had
not met (retrieval/margins/unmet.py).
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from ml_collections import ConfigDict

from encoders.labels import Asked
from nn.softmax import corpus_bias, label_margins, sampled_label_margins
from retrieval.margins import negatives
from retrieval.margins.unmet import among_unmet

MarginsFn = Callable[[Asked, Mapping[str, jax.Array], jax.Array], jax.Array]
"""(labels [rows], their batch, key) -> margins [rows], of nn/softmax.py."""
Sampler = Callable[[Any, Any, Any], negatives.Candidates]
"""(what to draw with, labels [rows], where [rows]) -> candidates, of retrieval/margins/negatives.py."""


class Corpus(NamedTuple):
    """What the margins of a run are against: N items, and of each, [rows], how often it is a training label and its
    place in the order of uploads as `Timelines` has it, None where all were always there."""

    num_items: int
    label_counts: np.ndarray
    upload_place: np.ndarray | None

    def place(self) -> jax.Array | None:
        """The places, on the device."""
        return None if self.upload_place is None else jnp.asarray(self.upload_place)


def exact(config: ConfigDict, corpus: Corpus, mesh: Mesh | None) -> MarginsFn:
    """Against all items 1..N, in blocks of `config.block_size`, products of `config.softmax_dtype`."""
    place = corpus.place()
    options: dict[str, Any] = {"block_size": config.block_size, "dtype": config.softmax_dtype, "mesh": mesh}
    options["item_bias"] = corpus_bias(len(corpus.label_counts), corpus.num_items)

    def margins(asked: Asked, batch: Mapping[str, jax.Array], key: jax.Array) -> jax.Array:
        there = None if place is None else asked.there
        of_labels = asked.queries, asked.vectors, asked.item
        of_all = label_margins(*of_labels, place=place, there=there, where=asked.where, **options)
        return among_unmet(of_all, asked, batch, dtype=config.softmax_dtype) if config.among_unmet else of_all

    return margins


def sampled(config: ConfigDict, corpus: Corpus, mesh: Mesh | None) -> MarginsFn:
    """Against the candidates of the sampler `config.softmax`, each corrected by how often it was to be expected."""
    sampler = SAMPLERS[config.softmax](config, corpus.label_counts[: corpus.num_items + 1], jnp)
    place = corpus.place()

    def margins(asked: Asked, batch: Mapping[str, jax.Array], key: jax.Array) -> jax.Array:
        ids, log_expected = sampler(key, asked.item, asked.where)
        return _against(config, asked, batch, ids, log_expected, None if place is None else place[ids])

    return margins


def drawn(config: ConfigDict) -> MarginsFn:
    """Against the candidates that a batch brings, with their log expected counts (large_corpus/touched_rows.py)."""

    def margins(asked: Asked, batch: Mapping[str, jax.Array], key: jax.Array) -> jax.Array:
        ids, log_expected = batch["candidate"], batch["log_expected"]
        return _against(config, asked, batch, ids, log_expected, batch.get("candidate_place"))

    return margins


def _against(
    config: ConfigDict,
    asked: Asked,
    batch: Mapping[str, jax.Array],
    ids: jax.Array,
    log_expected: jax.Array,
    place: jax.Array | None,
) -> jax.Array:
    candidates = asked.vectors[ids], ids, log_expected
    of_labels = asked.vectors[asked.item], asked.item
    options: dict[str, Any] = {"place": place, "there": None if place is None else asked.there, "where": asked.where}
    of_all = sampled_label_margins(asked.queries, *candidates, *of_labels, **options)
    if not config.among_unmet:
        return of_all
    weight = jnp.zeros(len(asked.vectors)).at[ids].add(jnp.exp(-log_expected))
    return among_unmet(of_all, asked, batch, weight=weight)


def _uniform(config: ConfigDict, counts: np.ndarray, xp: Any) -> Sampler:
    options = {"num_candidates": config.num_candidates, "num_items": len(counts) - 1}
    return lambda key, labels, where: negatives.uniform(key, **options)


def _log_uniform(config: ConfigDict, counts: np.ndarray, xp: Any) -> Sampler:
    by_popularity = xp.asarray(1 + np.argsort(-counts[1:], kind="stable"), dtype=xp.int32)
    options = {"num_candidates": config.num_candidates, "by_popularity": by_popularity}
    return lambda key, labels, where: negatives.log_uniform(key, **options)


def _in_batch(config: ConfigDict, counts: np.ndarray, xp: Any) -> Sampler:
    frequency = _frequency(counts, xp)
    return lambda key, labels, where: negatives.in_batch(labels, where=where, label_frequency=frequency)


def _mixed(config: ConfigDict, counts: np.ndarray, xp: Any) -> Sampler:
    options = {"label_frequency": _frequency(counts, xp), "num_candidates": config.num_candidates}
    return lambda key, labels, where: negatives.mixed(key, labels, where=where, **options)


def _frequency(counts: np.ndarray, xp: Any) -> Any:
    return xp.asarray(counts / max(counts.sum(), 1), dtype=xp.float32)


SAMPLERS: dict[str, Callable[[ConfigDict, np.ndarray, Any], Sampler]] = {
    "uniform": _uniform,
    "log_uniform": _log_uniform,
    "in_batch": _in_batch,
    "mixed": _mixed,
}
"""Names of the sampled --config.softmax: (config, training labels of items [N + 1], NumPy or jax.numpy) -> sampler."""
DRAWING = ("uniform", "log_uniform", "mixed")
"""Those that draw --config.num_candidates items; the labels of a batch are there anyway."""
MARGINS: dict[str, Callable[..., MarginsFn]] = {"exact": exact, **dict.fromkeys(SAMPLERS, sampled)}
"""Names of --config.softmax."""
DTYPES = ("float32", "bfloat16")
"""Names of --config.softmax_dtype; a sampled softmax has the first."""
