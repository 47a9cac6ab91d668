"""Trains and measures the main model at other settings, from the embeddings and scores of one run."""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from data.timelines import Timelines
from runtime.artifact import MANIFEST, checksum, read_json
from runtime.workdir import METRICS, open_workdir
from satisfaction import simple_rules
from satisfaction.click_ranks import Ranks
from satisfaction.experiments.held_out import HeldOut
from satisfaction.run_folder import artifacts, config_of
from satisfaction.saqrec.alignment import SAQREC, train_alignment
from satisfaction.unbiased.imputed import Scores, open_scores
from satisfaction.unbiased.steps import SCORES, Imputation

_SAVE_EVERY = 100  # steps


class Measured(NamedTuple):
    """Ranks of the test clicks, and the validation MRR of what has one."""

    ranks: Ranks
    valid: float | None = None


class Trials:
    """What all trials share: timelines, the embeddings and scores of `run`, and the sampled items of the test clicks.

    A workdir is of one run and one `refit`; names, settings and seeds may follow one another in it.
    Errors: UsageError where `run` is no run on these timelines, or `workdir` of another one.
    """

    def __init__(self, data: str, *, run: str, refit: bool, workdir: str):
        self._timelines = Timelines.open(data)
        self.config = config_of(run, self._timelines, "--run")
        self.config.align.refit = refit
        self._base, self._scores = artifacts(Path(run), self._timelines, "--run")
        identity = {
            "config": self.config.to_dict(),
            "log": self._timelines.fingerprint,
            "base": checksum(self._base.item.tobytes()),
            "scores": checksum(self._scores.satisfaction.tobytes()),
        }
        self.folder = open_workdir(workdir, identity)
        self.config.save_every = _SAVE_EVERY  # no part of what a run remembers, for it changes no model
        self.held_out = HeldOut(self._timelines, self.config, self.folder)

    def baselines(self) -> Mapping[str, Measured]:
        """The rules of satisfaction/simple_rules.py."""
        scorers = simple_rules.tuned(self.held_out.clicks, self._timelines, split="test", refit=self.config.align.refit)
        return {name: Measured(self.held_out.ranks(score, name)) for name, score in scorers.items()}

    def measure(
        self,
        name: str,
        settings: Mapping[str, Any],
        *,
        seed: int,
        naive: bool = False,
        models: Sequence[str] = (SAQREC,),
    ) -> Mapping[str, Measured]:
        """Each of `models` (satisfaction/saqrec/alignment.py) with these settings of config.align.

        Args:
          name: their folder in the workdir. naive: on satisfactions imputed from every answer alike.
        """
        config = ConfigDict(self.config.to_dict())
        config.seed = seed
        config.align.update({**settings, "models": tuple(models)})
        scores = self._naive_scores if naive else self._scores
        folder = self.folder / name / f"seed{seed}"
        align = folder / "align"
        print(f"  {train_alignment(config, self._timelines, self._base, scores, align)}", flush=True)
        metrics, step = read_json(align / METRICS), (config, self._base, scores, align)
        return {
            model: Measured(
                self.held_out.ranks_of_model(folder / f"{model}.npz", model, *step, label=f"{name}, {model}"),
                float(metrics[f"{model}/valid/mrr"]),
            )
            for model in models
        }

    @functools.cached_property
    def _naive_scores(self) -> Scores:
        # Equation 3 of Zhang et al.: every answer alike, whoever gives it. Trained where they are missing.
        config, folder = ConfigDict(self.config.to_dict()), self.folder / "naive"
        config.satisfaction.estimator = "naive"
        if not (folder / SCORES / MANIFEST).exists():
            Imputation(config, self._timelines, self._base, folder).train_satisfaction(
                {
                    **{name: config[name] for name in ("seed", "protocol", "answers")},
                    "satisfaction": config.satisfaction.to_dict(),
                    "log": self._timelines.fingerprint,
                    "base": checksum(self._base.item.tobytes()),
                }
            )
        return open_scores(folder / SCORES, self._timelines, "--workdir")
