"""Opens the workdir of a finished `satisfaction.train`: its models, and the scores that they have learned from."""

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from data.timelines import Timelines
from runtime.artifact import read_json
from runtime.errors import UsageError
from runtime.workdir import CONFIG, METRICS
from satisfaction.saqrec.embeddings import BaseEmbeddings
from satisfaction.saqrec.trained import Aligned, load_aligned
from satisfaction.unbiased.imputed import Scores, open_scores
from satisfaction.unbiased.steps import EMBEDDINGS, SCORES

ALIGN = "align"


@dataclasses.dataclass(frozen=True)
class TrainedRun:
    """The models of one run, and the scores they were trained with."""

    config: ConfigDict
    models: Mapping[str, Aligned]  # by the names of satisfaction/saqrec/alignment.py
    scores: Scores
    fingerprint: dict[str, Any]  # JSON values that tell runs apart


def config_of(path: str | os.PathLike[str], timelines: Timelines, flag: str) -> ConfigDict:
    """The config of the satisfaction.train workdir at `path`; errors name `flag`, also where it is of another log."""
    if not (Path(path) / CONFIG).exists():
        raise UsageError(f"{flag}={path}: no run of satisfaction.train here; give its workdir")
    saved = read_json(Path(path) / CONFIG)
    # A config without `log` is of an older version, and trusted; the artifacts of the run still know the vocabulary.
    if saved.get("log", timelines.fingerprint) != timelines.fingerprint:
        raise UsageError(f"{flag}={path}: trained on other timelines than --data={timelines.path}; give its own")
    return ConfigDict(saved["config"])


def artifacts(folder: Path, timelines: Timelines, flag: str) -> tuple[BaseEmbeddings, Scores]:
    """What a run's steps before align have left in its folder; errors name `flag`."""
    base = BaseEmbeddings.open(folder / EMBEDDINGS, timelines, flag)
    return base, open_scores(folder / SCORES, timelines, flag)


def open_run(path: str | os.PathLike[str], timelines: Timelines, *, split: str = "test", flag: str) -> TrainedRun:
    """Opens the workdir of a satisfaction.train to ask for clicks of `split`, as `load_aligned` has it.

    Errors name `flag` where it is not complete or of other timelines.
    """
    folder, config = Path(path), config_of(path, timelines, flag)
    base, scores = artifacts(folder, timelines, flag)
    models = load_aligned(config, timelines, base, scores, folder / ALIGN, split=split, flag=flag)
    fingerprint = {"align": read_json(folder / ALIGN / CONFIG), "metrics": read_json(folder / ALIGN / METRICS)}
    return TrainedRun(config, models, scores, fingerprint)
