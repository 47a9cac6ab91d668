"""How long the rest takes, by what has run."""

import pytest

from pipelines.graph.duration import in_words, seconds_left
from pipelines.graph.stage import Stage


def _stage(module: str, effort: float) -> Stage:
    return Stage(name=module, module=module, effort=effort)


TRAIN, TEST, RANK = _stage("train", 1.0), _stage("test", 0.25), _stage("rank", 2.0)


def test_the_like_of_what_has_run_lasts_as_long_in_the_median() -> None:
    measured = {"train": [(TRAIN, 10.0), (TRAIN, 12.0), (TRAIN, 90.0)]}
    assert seconds_left([TRAIN, TRAIN], measured) == pytest.approx(2 * 12.0)


def test_what_has_not_run_yet_lasts_by_its_effort() -> None:
    measured = {"train": [(TRAIN, 40.0)], "test": [(TEST, 10.0)]}
    # 50 s for an effort of 1.25: 40 s a unit.
    assert seconds_left([RANK], measured | {"other": [(_stage("other", 2.0), 80.0)]}) == pytest.approx(2 * 130 / 3.25)
    assert seconds_left([TEST, TRAIN], measured) == pytest.approx(50.0)


def test_nothing_is_guessed_before_the_first_training() -> None:
    assert seconds_left([TRAIN], {}) is None
    assert seconds_left([TRAIN], {"test": [(TEST, 3.0)]}) is None
    assert seconds_left([], {}) == 0


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(59, "under a minute"), (150, "about 2 min"), (5_399, "about 90 min"), (9_000, "about 2.5 h")],
)
def test_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
