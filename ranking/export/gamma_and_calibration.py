"""What a served ranker takes from its evaluation: the γ of the fused score, and how probabilities are calibrated."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from metrics.calibration import IDENTITY, Calibrator
from ranking import fusion
from ranking.checkpoint import Ranker
from runtime.artifact import read_json
from runtime.errors import UsageError
from runtime.workdir import is_complete

_FLAG = "--evaluation"


class Choice(NamedTuple):
    """γ [K] and a calibrator for each task, in the order of the tasks."""

    weights: NDArray[np.float64]
    calibrators: tuple[Calibrator, ...]


def choose(gamma: Sequence[str], evaluation: str | None, ranker: Ranker) -> Choice:
    """γ by hand, or what ranking.evaluate chose on the validation days; calibrated where there is an evaluation.

    Errors: UsageError without either, where `gamma` names no task of the model, or the evaluation is of another model.
    """
    if not gamma and not evaluation:
        raise UsageError(
            f"{_FLAG} is required, the workdir of ranking.evaluate with the γ that it chose; or give --gamma"
        )
    by_hand = fusion.parse(gamma, ranker.tasks) if gamma else None
    if not evaluation:
        assert by_hand is not None
        return Choice(by_hand, (IDENTITY,) * len(ranker.tasks))
    folder = Path(evaluation)
    if not is_complete(folder) or not (folder / "curves.json").is_file():
        raise UsageError(f"{_FLAG}={evaluation}: no complete measurement here; run ranking.evaluate on it first")
    curves, reliability = read_json(folder / "curves.json"), read_json(folder / "reliability.json")
    if curves.get("run") != ranker.run:
        raise UsageError(
            f"{_FLAG}={evaluation}: measured another model than --checkpoint; "
            "give its own, or run ranking.evaluate on this one"
        )
    weights = fusion.weights(curves["gamma"]["model"], ranker.tasks, flag=_FLAG) if by_hand is None else by_hand
    return Choice(weights, tuple(Calibrator(**reliability["model"][task]["calibrator"]) for task in ranker.tasks))
