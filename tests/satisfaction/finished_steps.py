"""What the steps of satisfaction.train before `align` leave in a run's folder, of random numbers."""

from pathlib import Path

import numpy as np
from ml_collections import ConfigDict

from data.timelines import Timelines
from satisfaction.saqrec.embeddings import BaseEmbeddings
from satisfaction.unbiased import imputed as scores
from satisfaction.unbiased.steps import EMBEDDINGS, SCORES


def write(folder: Path, log: Timelines, config: ConfigDict, rng: np.random.Generator) -> BaseEmbeddings:
    """Base vectors of six numbers and the scores of every impression; returns the vectors."""
    user, item = (rng.normal(size=(n, 6)).astype(np.float32) for n in (log.num_users, log.num_items + 1))
    base = BaseEmbeddings(user, item)
    base.save(folder / EMBEDDINGS, log)
    imputed, propensity = rng.random((2, len(log.item)))
    given = {"method": "ips", "clip": 0.1, "protocol": config.protocol}
    scores.write(folder / SCORES, log, satisfaction=imputed, propensity=propensity, **given)
    return base
