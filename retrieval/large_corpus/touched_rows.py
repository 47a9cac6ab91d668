"""Batches that bring along what they touch of a large corpus: rows of the item tables, content, and candidates.

The candidates of the sampled softmax are drawn here, on the host, so that the items of a batch are known before the
step begins: those of its histories, its labels and its candidates. What a batch draws depends on its number alone, so a
run that goes on draws what it would have drawn.
"""

import numpy as np
from ml_collections import ConfigDict
from numpy.typing import NDArray

from data.loader import PackedBatches
from retrieval.large_corpus.item_rows import ItemRows
from retrieval.margins.of_labels import SAMPLERS

_DRAWS = 2  # the seed's stream of candidates; data/loader.py has 0 and 1


class TouchedRows:
    """Access by number to batches whose items are numbered anew (retrieval/large_corpus/item_rows.py).

    A batch has the arrays of `PackedBatches`, `item` and `label` in the new numbers, those of `ItemRows.numbered`, and
    candidate [C] int32 and log_expected [C] float32, as the sampler of --config.softmax draws them, and candidate_place
    [C] int32, as `Timelines.upload_place` has it.
    """

    def __init__(
        self,
        batches: PackedBatches,
        config: ConfigDict,
        items: ItemRows,
        *,
        upload_place: NDArray[np.int32],
        num_shards: int = 1,
        shard: slice = slice(None),
    ):
        """Args:
        batches: all parts of each, on every host: all have to number alike.
        config: configs/retrieval.py, its sampler. upload_place: [N + 1] of all items.
        num_shards: S, into how many parts a batch is split; `shard`: those that this host loads.
        """
        self._batches, self._items, self._seed = batches, items, config.seed
        self._upload_place, num_items = upload_place, len(upload_place) - 1
        self._sampler = SAMPLERS[config.softmax](config, batches.label_counts()[: num_items + 1], np)
        self._num_shards, self._parts = num_shards, range(num_shards)[shard]
        labels = num_shards * batches.label_capacity
        self._size = min(config.batch_size * config.length + labels + config.num_candidates, num_items) + 1

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, index: int) -> dict[str, NDArray]:
        batch = self._batches[index]
        real = batch["label_kind"].reshape(-1) > 0
        labels = np.where(real, batch["label"].reshape(-1), 1)
        ids, log_expected = self._sampler(np.random.default_rng([self._seed, _DRAWS, int(index)]), labels, real)
        # An infinite count takes out what fills up to a number that the parts divide.
        missing = -len(ids) % self._num_shards
        ids, log_expected = np.pad(ids, (0, missing)), np.pad(log_expected, (0, missing), constant_values=np.inf)
        touched = np.concatenate([batch["item"].reshape(-1), labels, ids])
        numbered = self._items.numbered(touched, self._size, multiple=self._num_shards)
        batch |= {
            "item": numbered.place(batch["item"]),
            "label": numbered.place(labels).reshape(batch["label"].shape),
            "candidate": numbered.place(ids),
            "candidate_place": self._upload_place[ids],
            "log_expected": log_expected.astype(np.float32),
            **numbered.arrays,
        }
        return {name: self._here(array) for name, array in batch.items()}

    def _here(self, array: NDArray) -> NDArray:
        each = len(array) // self._num_shards
        return array[each * self._parts.start : each * self._parts.stop]
