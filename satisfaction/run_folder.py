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
from satisfaction.run import artifacts
from satisfaction.saqrec.trained import Aligned, load_aligned
from satisfaction.unbiased.imputed import Scores

ALIGN = "align"


@dataclasses.dataclass(frozen=True)
class TrainedRun:
    """The models of one run, and the scores they were trained with."""

    config: ConfigDict
    models: Mapping[str, Aligned]  # by the names of satisfaction/saqrec/alignment.py
    scores: Scores
    fingerprint: dict[str, Any]  # JSON values that tell runs apart


def open_run(path: str | os.PathLike[str], timelines: Timelines, *, split: str = "test", flag: str) -> TrainedRun:
    """Opens the workdir of a satisfaction.train to ask for clicks of `split`, as `load_aligned` has it.

    Errors name `flag` where it is not complete or of other timelines.
    """
    folder = Path(path)
    if not (folder / CONFIG).exists():
        raise UsageError(f"{flag}={path}: no run of satisfaction.train here; give its workdir")
    config = ConfigDict(read_json(folder / CONFIG)["config"])
    base, scores = artifacts(folder, timelines, flag)
    models = load_aligned(config, timelines, base, scores, folder / ALIGN, split=split, flag=flag)
    fingerprint = {"align": read_json(folder / ALIGN / CONFIG), "metrics": read_json(folder / ALIGN / METRICS)}
    return TrainedRun(config, models, scores, fingerprint)
