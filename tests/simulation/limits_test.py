"""Settings that describe nothing that can be run are named, whether they stand alone, in a section or in a row."""

import math
from collections.abc import Callable

import pytest
from ml_collections import ConfigDict

from runtime.errors import UsageError
from simulation import limits

CONFIG = ConfigDict(
    {"users": 3, "distances": (1, 5), "slate_size": 4, "temperature": 0.5, "returning": {"decay": 0.0, "dislike": -2.0}}
)


def test_settings_at_their_limits_are_fine() -> None:
    limits.at_least(CONFIG, {"users": 3, "distances": 1, "returning.dislike": -2})
    limits.probabilities(CONFIG, "returning.decay")
    limits.finite(CONFIG, "returning.dislike", least=-2)
    limits.policy(CONFIG, 4)


@pytest.mark.parametrize(
    ("changes", "check", "message"),
    [
        (
            {},
            lambda config: limits.at_least(config, {"users": 4}, {"users": "why"}),
            "--config.users=3: at least 4, why",
        ),
        ({}, lambda config: limits.at_least(config, {"distances": 2}), r"--config.distances=\(1, 5\): each at least 2"),
        (
            {"returning": {"decay": 1.5}},
            lambda config: limits.probabilities(config, "returning.decay"),
            "--config.returning.decay=1.5: a probability, from 0 to 1",
        ),
        (
            {"returning": {"dislike": math.nan}},
            lambda config: limits.finite(config, "returning.dislike"),
            "--config.returning.dislike=nan: a finite number$",
        ),
        ({}, lambda config: limits.finite(config, "returning.dislike", least=0), "=-2.0: a finite number, 0 or more"),
        ({}, lambda config: limits.policy(config, 3), "--config.slate_size=4: there are 3 items; use fewer"),
        ({"temperature": 0.0}, lambda config: limits.policy(config, 9), "--config.temperature=0.0: a finite number"),
        ({"slate_size": 0}, lambda config: limits.policy(config, 9), "--config.slate_size=0: at least 1"),
    ],
)
def test_a_setting_beyond_them_is_named(changes: dict, check: Callable[[ConfigDict], None], message: str) -> None:
    config = CONFIG.copy_and_resolve_references()
    config.update(changes)
    with pytest.raises(UsageError, match=message):
        check(config)
