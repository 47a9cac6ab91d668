"""Predictions for held-out impressions, made comparable: calibrated, and fused into one score by weights γ.

Every row that a ranker is compared with goes this way, so that each has the same chances: calibrators are fitted, and γ
is chosen where none is given, on the validation days.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metrics import calibration
from metrics.calibration import Calibrator
from ranking import fusion
from ranking.held_out import HeldOut
from ranking.tasks import SATISFACTION

Floats = NDArray[np.float64]


class Predictor(Protocol):
    """A row: its tasks by name, and their probabilities [n, K] at event positions [n]."""

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the K columns."""

    def predict(self, positions: NDArray[np.int64], /) -> NDArray[np.float32]:
        """Probabilities [n, K]."""


class KnownProbabilities(NamedTuple):
    """A row whose probabilities [E, K] are known for every event of the log."""

    tasks: tuple[str, ...]
    probabilities: NDArray[np.float32]

    def predict(self, positions: NDArray[np.int64]) -> NDArray[np.float32]:
        """Probabilities [n, K] of the impressions at event positions [n]."""
        return self.probabilities[positions]


class Predictions(NamedTuple):
    """Of the impressions `days`, in the order of their tasks: `raw` and calibrated [n, K], `calibrators` [K], γ [K]."""

    days: HeldOut
    raw: Floats
    probabilities: Floats
    calibrators: tuple[Calibrator, ...]
    weights: Floats


def calibrated_and_fused(
    valid_raw: ArrayLike,
    raw: ArrayLike,
    valid: HeldOut,
    days: HeldOut,
    weights: Floats | None,
    penalty: float,
    *,
    satisfaction_weight: float = 0.0,
) -> tuple[Predictions, list[fusion.Trade]]:
    """Calibrates predictions, chooses γ on the validation days where none is given, and gives the trade-off there.

    Where the validation days themselves are measured, each user's probabilities are calibrated on the other users of
    two halves; γ is then chosen on what it is measured on, and is a little too good.

    Args: valid_raw, raw: uncalibrated probabilities [n, K] on `valid` and on `days`, in the order of their tasks.
    penalty of skip@10 and weight of satisfaction@10 in the choice; the weight asks for the task of that name.
    """
    of_valid, of_days = np.asarray(valid_raw, np.float64), np.asarray(raw, np.float64)
    calibrators = _fit(of_valid, valid, np.ones(len(valid.user), bool))
    on_valid = _apply(calibrators, of_valid)
    probabilities = on_valid.copy() if days.split == valid.split else _apply(calibrators, of_days)
    for half in (0, 1) if days.split == valid.split else ():
        others = valid.user % 2 != half
        probabilities[~others] = _apply(_fit(of_valid, valid, others), of_days[~others])
    shown = valid.lists
    if satisfaction_weight:
        k = valid.tasks.index(SATISFACTION)
        known, label = valid.where[:, k], valid.label[:, k]
        shown = shown._replace(satisfaction=np.where(known, label, label[known].mean()))
    penalties = (penalty, *fusion.PENALTIES)
    chosen, *trades = fusion.trade_off(
        on_valid, shown, tasks=valid.tasks, penalties=penalties, satisfaction_weight=satisfaction_weight
    )
    return Predictions(
        days, of_days, probabilities, calibrators, chosen.weights if weights is None else weights
    ), trades


def _fit(raw: Floats, valid: HeldOut, among: NDArray[np.bool_]) -> tuple[Calibrator, ...]:
    labelled = valid.where & among[:, None]
    return tuple(
        calibration.fit(raw[where, k], valid.label[where, k]) if where.any() else calibration.IDENTITY
        for k, where in enumerate(labelled.T)
    )


def _apply(calibrators: Sequence[Calibrator], raw: Floats) -> Floats:
    return np.stack([calibrator(raw[:, k]) for k, calibrator in enumerate(calibrators)], axis=1)
