"""Satisfactions imputed without regard to who answers: what the ablation of the unbiased model learns from."""

from pathlib import Path

from ml_collections import ConfigDict

from data.timelines import Timelines
from runtime.artifact import MANIFEST, checksum
from satisfaction import run as training
from satisfaction.saqrec.embeddings import BaseEmbeddings
from satisfaction.splits import in_training
from satisfaction.unbiased import satisfaction_model
from satisfaction.unbiased.answers import answers
from satisfaction.unbiased.imputed import Scores, open_scores


def naive_scores(config: ConfigDict, timelines: Timelines, base: BaseEmbeddings, folder: Path) -> Scores:
    """The scores in `folder`, trained first where they are missing: equation 3 of Zhang et al., every answer alike.

    Args:
      config: the whole of configs/satisfaction.py, whose estimator is put aside. base: what every step starts from.
    Errors: DataError of satisfaction_model.train.
    """
    config = ConfigDict(config.to_dict())
    config.satisfaction.estimator = "naive"
    target = folder / training.SCORES
    if not (target / MANIFEST).exists():
        features = training.features_of(config, timelines, base)
        propensity = training.propensities_of(config, timelines, base, folder)
        fitted, _ = satisfaction_model.train(
            config,
            timelines,
            features,
            answers=answers(timelines, config.answers),
            propensity=propensity,
            trained=in_training(timelines, config.protocol),
            folder=folder,
            fingerprint={
                **{name: config[name] for name in ("seed", "protocol", "answers")},
                "satisfaction": config.satisfaction.to_dict(),
                "log": timelines.fingerprint,
                "base": checksum(base.item.tobytes()),
            },
        )
        training.impute(config, timelines, fitted, features, propensity, target)
    return open_scores(target, timelines, "--workdir")
