"""The model of retrieval/model.py as one would write it in PyTorch, and batches of one padded window a row.

What is the same: item vectors from id and content features, dwell and feedback flags, GRU, projection, softmax over the
whole corpus at every labelled position, dropout, clipping, AdamW, and the windows that the labels come from. What
differs is what is compared: torch.nn.GRU, full logits through torch.nn.functional.cross_entropy, and padding. What the
query remembers of dislikes is left out, which is to PyTorch's advantage.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from ml_collections import ConfigDict
from torch import nn

from data.feedback import BITS, NUM_DWELL_BUCKETS, label_kinds
from data.loader import cut_windows
from data.timelines import Timelines

Batch = dict[str, torch.Tensor]


class TwoTower(nn.Module):
    """Loss of a batch: the mean cross entropy of its labels."""

    def __init__(self, config: ConfigDict, timelines: Timelines):
        super().__init__()
        features = timelines.manifest["item_features"]
        codes = np.stack([timelines.item_column(feature["name"])[1:] for feature in features], axis=1)
        self.register_buffer("features", torch.tensor(codes))  # [N, F], of several codes the first
        seen = timelines.item_counts(("train",))[1:] > 0
        self.register_buffer("seen", torch.tensor(seen, dtype=torch.float32)[:, None])
        self.register_buffer("bits", torch.tensor([BITS[name] for name in config.input_feedback]))
        dim = config.dim
        self.id_embedding = nn.Parameter(torch.randn(timelines.num_items, dim) * dim**-0.5)
        self.feature_embeddings = nn.ModuleList(
            nn.Embedding(feature["cardinality"], dim, padding_idx=0) for feature in features
        )
        self.dwell_embedding = nn.Embedding(NUM_DWELL_BUCKETS, dim)
        self.flag_embedding = nn.Linear(len(self.bits), dim, bias=False)
        self.dropout = nn.Dropout(config.dropout)
        self.gru = nn.GRU(2 * dim, config.hidden, batch_first=True)
        self.projection = nn.Linear(config.hidden, dim)

    def item_vectors(self) -> torch.Tensor:
        """[N, D], without a row for padding."""
        vectors = self.id_embedding * self.seen
        for column, table in enumerate(self.feature_embeddings):
            vectors = vectors + table(self.features[:, column])
        return vectors

    def forward(self, batch: Batch) -> torch.Tensor:
        """item, dwell, feedback, label [B, T]; label 0 is no label."""
        vectors = self.item_vectors()
        content = nn.functional.embedding((batch["item"] - 1).clamp(min=0), vectors)
        content = content * (batch["item"] > 0)[..., None]
        flags = ((batch["feedback"][..., None] >> self.bits) & 1).float()
        reaction = self.dwell_embedding(batch["dwell"]) + self.flag_embedding(flags)
        states, _ = self.gru(self.dropout(torch.cat([content, reaction], dim=-1)))  # [B, T, H]
        labelled = batch["label"] > 0
        logits = self.projection(states[labelled]) @ vectors.T  # [labels, N]
        return nn.functional.cross_entropy(logits, batch["label"][labelled] - 1)


def padded_batches(
    timelines: Timelines, *, length: int, batch_size: int, positive: Sequence[str], negative: Sequence[str]
) -> Iterator[Batch]:
    """Endless batches of windows in random order, [batch_size, length] each, zeros after a window's end.

    All windows at once where there are no more than `batch_size`.
    """
    windows = cut_windows(timelines.offsets[:-1], np.asarray(timelines.valid_start), length=length)
    batch_size = min(batch_size, len(windows.start))
    kind = label_kinds(np.asarray(timelines.feedback), positive=positive, negative=negative)
    rng = np.random.default_rng(0)
    column = np.arange(length)
    while True:
        order = rng.permutation(len(windows.start))
        for begin in range(0, len(order) - batch_size + 1, batch_size):
            window = order[begin : begin + batch_size, None]
            used = column < windows.length[window]  # [B, T]
            event = np.where(used, windows.start[window] + column, 0)
            read = used & ((column > 0) | (windows.context[window] > 0))
            labelled = used & (column >= windows.context[window]) & (kind[event] > 0)
            arrays = {
                "item": np.where(read, timelines.item[event - 1], 0),
                "dwell": np.where(read, timelines.dwell[event - 1], 0),
                "feedback": np.where(read, timelines.feedback[event - 1], 0),
                "label": np.where(labelled, timelines.item[event], 0),
            }
            yield {name: torch.from_numpy(array.astype(np.int64)) for name, array in arrays.items()}


def num_windows(timelines: Timelines, *, length: int) -> int:
    """Rows that an epoch of padded batches has."""
    return len(cut_windows(timelines.offsets[:-1], np.asarray(timelines.valid_start), length=length).start)
