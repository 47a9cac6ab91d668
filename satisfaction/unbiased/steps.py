"""Steps "propensity" and "satisfaction": from the answers to a few impressions, how satisfying every one of them is."""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict
from numpy.typing import NDArray
from scipy.special import expit

from data.timelines import Timelines
from runtime.artifact import read_json
from runtime.workdir import METRICS
from satisfaction.saqrec.embeddings import BaseEmbeddings
from satisfaction.splits import in_training, is_earlier
from satisfaction.unbiased import imputed, propensity, satisfaction_model
from satisfaction.unbiased.answers import answers
from satisfaction.unbiased.estimators import estimator_of
from satisfaction.unbiased.features import PairFeatures, make_features
from satisfaction.unbiased.fitting import Fitted
from training.distributed.hosts import by_first

EMBEDDINGS, SCORES = "base_embeddings", "scores"  # the artifacts of a run, in its folder
PROPENSITY, SATISFACTION = "propensity", "satisfaction"  # the steps, and their folders there


class Imputation:
    """Both steps of one run: their features, models and scores."""

    def __init__(self, config: ConfigDict, timelines: Timelines, base: BaseEmbeddings, folder: Path):
        """Args: config, the whole of configs/satisfaction.py; base, what the models start from; folder, of the run."""
        self.config, self.folder = config, folder
        self._timelines, self._base = timelines, base
        self._weighs = estimator_of(config.satisfaction.estimator, config.satisfaction.clip).weighs
        self._answers, self._trained = answers(timelines, config.answers), in_training(timelines, config.protocol)

    @functools.cached_property
    def features(self) -> PairFeatures:
        """What the satisfaction model reads of users and items."""
        return self._features(asking_rates=False)

    @functools.cached_property
    def propensity_features(self) -> PairFeatures:
        """What the propensity model reads of them."""
        return self._features(asking_rates=self.config.propensity.asking_rates)

    @functools.cached_property
    def propensities(self) -> NDArray[np.float64]:
        """ô of every impression, [E], by the trained propensity model.

        One number for all, the training share of answers, where the estimator reads none.
        """
        if self._weighs:
            model = propensity.reopen(self.config, self.propensity_features, self.folder / PROPENSITY)
            return model.events(self.propensity_features, np.arange(len(self._timelines.item)))
        asked = self._trained & ~is_earlier(self._timelines)
        return np.full(len(asked), (self._answers[asked] >= 0).mean())

    def train_propensity(self, fingerprint: Mapping[str, Any]) -> Mapping[str, float]:
        """Trains the propensity model, or goes on; its metrics, none where the estimator weighs nothing."""
        if not self._weighs:
            return {}  # answers may be all there is
        _, metrics = propensity.train(
            self.config,
            self._timelines,
            self.propensity_features,
            folder=self.folder / PROPENSITY,
            fingerprint=fingerprint,
            answers=self._answers,
            trained=self._trained,
        )
        return metrics

    def train_satisfaction(self, fingerprint: Mapping[str, Any]) -> Mapping[str, float]:
        """Trains the satisfaction model, or goes on, and writes the scores; its metrics."""
        fitted, metrics = satisfaction_model.train(
            self.config,
            self._timelines,
            self.features,
            propensity=self.propensities,
            folder=self.folder / SATISFACTION,
            fingerprint=fingerprint,
            answers=self._answers,
            trained=self._trained,
        )
        by_first(lambda: self.write_scores(fitted, self.folder / SCORES))
        return metrics

    def reopen(self) -> Fitted:
        """The trained satisfaction model."""
        folder = self.folder / SATISFACTION
        prior = read_json(folder / METRICS)["prior"]
        return satisfaction_model.reopen(self.config, self.features, prior_logit=prior, folder=folder)

    def write_scores(self, fitted: Fitted, target: Path) -> NDArray[np.float64]:
        """Writes the scores artifact at `target`; returns ŝ = σ(g(u, i)) of every impression, [E]."""
        satisfaction = expit(fitted.events(self.features, np.arange(len(self._timelines.item))))
        imputed.write(
            target,
            self._timelines,
            satisfaction=satisfaction,
            propensity=self.propensities,
            method=self.config.satisfaction.estimator,
            clip=self.config.satisfaction.clip,
            protocol=self.config.protocol,
        )
        return satisfaction

    def _features(self, *, asking_rates: bool) -> PairFeatures:
        return make_features(
            self._base,
            self._timelines,
            seed=self.config.seed,
            answer_rates=self.config.satisfaction.answer_rates,
            asking_rates=asking_rates,
            answers=self._answers,
            trained=self._trained,
        )
