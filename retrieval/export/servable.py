"""Writes both SavedModels of the exported recommender with their warm-up requests, and times single requests."""

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from data import feedback
from data.events_read import events_read
from data.timelines import Timelines
from nn import latency, warmup
from nn.tensorflow_graph import XlaFunction, save
from retrieval.checkpoint import ITEM_VECTORS, Retriever
from retrieval.export import saved_items, saved_model, user_tower
from retrieval.export.index import Effort

K = 100
_TIMED_REQUESTS = 200


def write(
    folder: Path,
    retriever: Retriever,
    timelines: Timelines,
    item_vectors: NDArray[np.float32],
    *,
    effort: Effort,
    options: Any,
) -> dict[str, float]:
    """Adds saved_model/, saved_model_scann/ and, where items have content, saved_model_items/ to `folder`, with scann/.

    Args: item_vectors [N + 1, D]; effort, of the index; options, `config.export`.
    Returns: `exact/p50_ms`, `exact/p99_ms`, `ann/p50_ms`, `ann/p99_ms`: milliseconds of one request of one user.
    Errors: DataError where an item has the id that stands for padding in requests.
    """
    exact = saved_model.ExactSearch(item_vectors)
    searches: dict[str, tuple[str, saved_model.Search]] = {
        "exact": ("saved_model", exact),
        "ann": (
            "saved_model_scann",
            saved_model.ScannSearch(folder / "scann", num_items=timelines.num_items, effort=effort),
        ),
    }
    # The table that is searched is the one that the tower reads.
    tower = XlaFunction(user_tower.tower(retriever), variables={ITEM_VECTORS: exact.vectors})
    users = np.random.default_rng(1).integers(timelines.num_users, size=_TIMED_REQUESTS)
    k = min(K, options.max_k)
    requests = [request(timelines, user, retriever, k=k) for user in users]
    metrics: dict[str, float] = {}
    for name, (subfolder, search) in searches.items():
        recommender = saved_model.Recommender(
            tower,
            search,
            reading=retriever.reading,
            item_ids=timelines.items["item_id"][1:].to_numpy(),
            input_feedback=retriever.input_feedback,
            max_k=options.max_k,
            reject_unknown_ids=options.reject_unknown_ids,
        )
        save(recommender, recommender.signature(), folder / subfolder)
        warmup.write(folder / subfolder, [warmup.repeated(requests[0], size) for size in options.warmup_batch_sizes])
        figures = latency.percentiles(latency.milliseconds(folder / subfolder, requests))
        metrics |= {f"{name}/{key}": value for key, value in figures.items()}
    content = timelines.item_content()
    if content.owner or content.sizes:
        items = saved_items.ItemVectors(retriever, codes=len(content.owner), size=sum(content.sizes))
        items.save(folder / "saved_model_items")
    return metrics


def request(timelines: Timelines, user: int, retriever: Retriever, *, k: int) -> dict[str, tf.Tensor]:
    """The request that a server gets for a user with all of the log behind them: the events that the model reads."""
    own = slice(timelines.offsets[user], timelines.offsets[user + 1])
    read = events_read(timelines.item[own][None], timelines.feedback[own][None], retriever.reading)[0]
    events = own.start + read[read >= 0]
    ids = timelines.items["item_id"].gather(timelines.item[events]).to_numpy()
    bits = timelines.feedback[events]
    columns = {
        "history_item_id": ids,
        "history_play_ms": timelines.play_ms[events],
        **{f"history_{name}": feedback.has(bits, name).astype(np.int32) for name in retriever.input_feedback},
        "exclude_item_id": ids[:0],
    }
    return {**{name: tf.constant(column[None]) for name, column in columns.items()}, "k": tf.constant([k])}
