"""Loads the trained models of step "align", and scores all items with them just before a click."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict
from numpy.typing import NDArray

from data.timelines import Timelines
from runtime.errors import UsageError
from runtime.workdir import is_complete
from satisfaction.saqrec.alignment import ALL, SAQREC, TRAIN, architectures, histories_of, model_folder, num_levels
from satisfaction.saqrec.embeddings import BaseEmbeddings
from satisfaction.saqrec.model import asked
from satisfaction.saqrec.sequences import Histories
from satisfaction.unbiased.imputed import Scores
from training.chunks import by_chunks
from training.saving.checkpoints import CHECKPOINTS, restore_params


class Aligned:
    """A trained model on the histories of its timelines; batches of any size run as ones of as many users."""

    _ROWS, _SCORES = 512, 1 << 24  # users at a time, at most, and scores of theirs

    def __init__(
        self,
        merge: Callable[[Any], Any],
        params: Any,
        histories: Histories,
        *,
        has_satisfaction: bool,
        num_levels: int = 0,
    ):
        self.histories, self._params, self.num_levels = histories, params, num_levels

        @jax.jit
        def run(params, batch):
            model = merge(params)
            items = model.items()
            answer = asked(model, batch, items)
            results = {"click": answer.scored @ answer.vectors.T}  # [B, n + 1]
            if has_satisfaction:
                results["satisfaction"] = answer.query @ model.satisfaction_vectors(items[: model.num_items + 1]).T
            if answer.level_weights is not None:
                results["levels"] = answer.level_weights
            return results

        self._run = run
        self._size = max(1, min(self._ROWS, self._SCORES // (histories.clicks.num_items + 1)))

    def __call__(self, before: NDArray[np.int64]) -> dict[str, NDArray[np.float32]]:
        """What is thought of every item at the moments just before some clicks [B], for their users.

        Returns `click` and, of SAQRec, `satisfaction`, the logits of equation 14 [B, n + 1], and `levels`, the weights
        of equation 12 [B, N_I].
        """
        return by_chunks(lambda rows: self._run(self._params, self.histories.before(rows)), before, self._size)

    def score(
        self, users: NDArray[np.int64], before: NDArray[np.int64], *, satisfaction_weight: float = 0.0
    ) -> NDArray[np.float32]:
        """ŷ, by which the paper ranks, plus `satisfaction_weight` · log σ(ŝ_f), which is beyond it: [B, n + 1]."""
        opinion = self(before)
        if not satisfaction_weight:
            return opinion["click"]
        unlikely = np.logaddexp(0, -opinion["satisfaction"]).astype(np.float32)  # −log σ(ŝ_f)
        return opinion["click"] - satisfaction_weight * unlikely


def load_aligned(
    config: ConfigDict,
    timelines: Timelines,
    base: BaseEmbeddings,
    scores: Scores,
    folder: Path,
    *,
    split: str = "test",
    flag: str,
) -> Mapping[str, Aligned]:
    """The models of `train_alignment` in `folder`, by name, to be asked for clicks of `split`.

    For test clicks the refitted ones, where there are any; they have learned the validation clicks. `flag` is named
    where the step is not there.
    """
    if not is_complete(folder):
        raise UsageError(f"{flag}={folder.parent}: no complete align step here; run satisfaction.train on it first")
    train_on = ALL if config.align.refit and split == "test" else TRAIN
    histories = histories_of(config, timelines, scores, train_on=train_on)
    models = {}
    for name, model in architectures(config, histories, base).items():
        params, _ = restore_params(model_folder(folder, name, train_on) / CHECKPOINTS, model.shapes)
        models[name] = Aligned(
            model.merge,
            params,
            histories,
            has_satisfaction=name == SAQREC,
            num_levels=num_levels(config.align, histories),
        )
    return models
