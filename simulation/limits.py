"""Limits of settings: refuses a --config that cannot be run, in one line that names the setting.

A name with dots, such as policy.random, is a setting inside a section.
"""

import math
from collections.abc import Mapping
from typing import Any

from runtime.errors import UsageError


def at_least(config: Any, limits: Mapping[str, float], reasons: Mapping[str, str] | None = None) -> None:
    """Raises UsageError where a setting, or an entry of it where it has several, is below its limit.

    `reasons` says why the limit is that, for settings where it does not go without saying.
    """
    for name, least in limits.items():
        value = _value(config, name)
        several = isinstance(value, (tuple, list))
        if any(entry < least for entry in (value if several else (value,))):
            reason = f", {reasons[name]}" if reasons and name in reasons else ""
            raise UsageError(f"--config.{name}={value}: {'each ' if several else ''}at least {least}{reason}")


def enough_days(config: Any, needed: float) -> None:
    """Raises UsageError where the `needed` days, of whoever is the last to have watched it all, are not in the log."""
    if needed >= config.days:
        raise UsageError(
            f"--config.days={config.days}: over before the busiest user has watched it all; more days, or fewer "
            "--config.num_events a user"
        )


def probabilities(config: Any, *names: str) -> None:
    """Raises UsageError where a setting is not between 0 and 1, both included."""
    for name in names:
        if not 0 <= _value(config, name) <= 1:
            raise UsageError(f"--config.{name}={_value(config, name)}: a probability, from 0 to 1")


def finite(config: Any, *names: str, least: float = -math.inf) -> None:
    """Raises UsageError where a setting is NaN, infinite or below `least`."""
    for name in names:
        if not (math.isfinite(_value(config, name)) and _value(config, name) >= least):
            bound = "" if least == -math.inf else f", {least} or more"
            raise UsageError(f"--config.{name}={_value(config, name)}: a finite number{bound}")


def policy(config: Any, num_items: int) -> None:
    """Raises UsageError where `slate_size` and `temperature` give no policy over so many items."""
    at_least(config, {"slate_size": 1})
    if config.slate_size > num_items:
        raise UsageError(f"--config.slate_size={config.slate_size}: there are {num_items} items; use fewer")
    if not 0 < config.temperature < math.inf:
        raise UsageError(f"--config.temperature={config.temperature}: a finite number above 0")


def _value(config: Any, name: str) -> Any:
    for part in name.split("."):
        config = config[part]
    return tuple(config) if isinstance(config, list) else config
