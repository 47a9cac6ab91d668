"""The test clicks on which every row of a table is measured, each among the same sampled items."""

from pathlib import Path

from ml_collections import ConfigDict
from numpy.typing import ArrayLike

from data.timelines import Timelines
from satisfaction.click_ranks import Ranks, ScoreFn, rank
from satisfaction.kept_arrays import kept
from satisfaction.protocol import saved_negatives
from satisfaction.saqrec.clicks import clicks_of
from satisfaction.saqrec.embeddings import BaseEmbeddings
from satisfaction.saqrec.trained import load_aligned
from satisfaction.unbiased.imputed import Scores


class HeldOut:
    """The test clicks of a log under a config's protocol; what is sampled beside them is kept in `folder`."""

    def __init__(self, timelines: Timelines, config: ConfigDict, folder: Path):
        self.timelines = timelines
        self.clicks = clicks_of(timelines, config.protocol)
        self._negatives = saved_negatives(folder, self.clicks, seed=0)
        self.sizes = {"users": len(self._negatives), "items": self.clicks.num_items}

    def ranks(self, score: ScoreFn, label: str) -> Ranks:
        """The places that a scorer gives them; `label` names the progress bar."""
        return rank(score, self.clicks, self._negatives, split="test", label=label)

    def ranks_of_model(
        self,
        file: Path,
        model: str,
        config: ConfigDict,
        base: BaseEmbeddings,
        scores: Scores,
        align: Path,
        *,
        label: str,
    ) -> Ranks:
        """The places that a `model` of the step in `align` gives them, asked once and kept in `file`."""

        def measure() -> dict[str, ArrayLike]:
            models = load_aligned(config, self.timelines, base, scores, align, flag="--workdir")
            return self.ranks(models[model].score, label)._asdict()

        return Ranks(**kept(file, measure))
