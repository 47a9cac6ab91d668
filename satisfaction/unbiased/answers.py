"""Who said how satisfied they were: questionnaires, or likes and dislikes where a log has no questionnaires."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from data import feedback
from data.timelines import Timelines
from runtime.errors import DataError, UsageError

NO_ANSWER, DISSATISFIED, SATISFIED = -1, 0, 1


def from_questionnaire(timelines: Timelines) -> NDArray[np.int8]:
    """What was answered; errors: DataError where nobody answered."""
    answers = np.asarray(timelines.questionnaire_answer)
    if not (answers >= 0).any():
        has_both = {"like", "dislike"} <= set(timelines.traits.feedback)
        remedy = (
            "set --config.answers=like_dislike"
            if has_both
            else "nor are there likes and dislikes: nothing to learn from"
        )
        raise DataError(f"{timelines.path}: questionnaire_answer is empty, no questionnaire was answered; {remedy}")
    return answers


def from_like_dislike(timelines: Timelines) -> NDArray[np.int8]:
    """A like is "satisfied", a dislike "dissatisfied", clicked or not; a dislike wins (Zhang et al., section 5.1.1).

    Errors: DataError where the log has neither.
    """
    bits = np.asarray(timelines.feedback)
    like, dislike = feedback.has(bits, "like"), feedback.has(bits, "dislike")
    if not (like.any() or dislike.any()):
        raise DataError(
            f"{timelines.path}: no event is a like or a dislike; "
            "set --config.answers=questionnaire if the log has questionnaires, else satisfaction cannot be learned"
        )
    return np.where(dislike, DISSATISFIED, np.where(like, SATISFIED, NO_ANSWER)).astype(np.int8)


SOURCES: dict[str, Callable[[Timelines], NDArray[np.int8]]] = {
    "questionnaire": from_questionnaire,
    "like_dislike": from_like_dislike,
}


def answers(timelines: Timelines, source: str) -> NDArray[np.int8]:
    """int8 [E]: SATISFIED, DISSATISFIED or NO_ANSWER for each impression; `source` is config.answers.

    Without a source, questionnaires where the log has answers to any, else likes and dislikes.
    Errors: UsageError for an unknown source; DataError where the log has no answers, or only one kind of them.
    """
    source = source or ("questionnaire" if timelines.traits.questionnaires else "like_dislike")
    if source not in SOURCES:
        raise UsageError(f"--config.answers={source}: one of {', '.join(SOURCES)}")
    given = SOURCES[source](timelines)
    lacking = _lacking(given)
    if lacking:
        others = [name for name in SOURCES if name != source and _has_both(timelines, name)]
        remedy = "take more days" + "".join(f", or set --config.answers={name}" for name in others)
        raise DataError(
            f"{timelines.path}: no answer is '{lacking}' (--config.answers={source}); "
            f"a satisfaction model needs both kinds: {remedy}"
        )
    return given


def _lacking(given: NDArray[np.int8]) -> str:
    kinds = ((SATISFIED, "satisfied"), (DISSATISFIED, "dissatisfied"))
    return next((name for value, name in kinds if not (given == value).any()), "")


def _has_both(timelines: Timelines, source: str) -> bool:
    try:
        return not _lacking(SOURCES[source](timelines))
    except DataError:  # it has none at all
        return False
