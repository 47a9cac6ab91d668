"""What settings of a config may be, checked before anything is trained: a wrong one is one line that names it."""

import math
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from runtime.errors import UsageError


class Kind(NamedTuple):
    """What a setting may be, and in words."""

    holds: Callable[[Any], bool]
    words: str


COUNT = Kind(lambda x: x >= 1 and x == int(x), "must be at least 1")
WHOLE = Kind(lambda x: x >= 0 and x == int(x), "must be a whole number, 0 or more")
POSITIVE = Kind(lambda x: 0 < x < math.inf, "must be finite and above 0")
NOT_NEGATIVE = Kind(lambda x: 0 <= x < math.inf, "must be finite and not negative")
DROPOUT = Kind(lambda x: 0 <= x < 1, "must be at least 0 and below 1")
SHARE = Kind(lambda x: 0 <= x <= 1, "must be from 0 to 1")
RATE = Kind(lambda x: 0 < x <= 1, "must be above 0 and at most 1")
PART = Kind(lambda x: 0 < x < 1, "between 0 and 1")
WINDOW = Kind(lambda x: x >= 2 and x == int(x), "a window needs at least 2 positions")

_OF_NO_MODEL = ("export", "save_every", "mesh", "cpu_devices")


def one_of(names: Collection[str]) -> Kind:
    """Any of these."""
    return Kind(lambda x: x in names, f"one of {', '.join(names)}")


def optional(kind: Kind) -> Kind:
    """This kind, or nothing: what is left to the log."""
    return Kind(lambda x: x is None or kind.holds(x), kind.words)


def all_of(kind: Kind) -> Kind:
    """Several, each of this kind; none will do."""
    return Kind(lambda x: all(kind.holds(value) for value in x), f"each {kind.words}")


# Of whatever training/optimizer.py and training/loop.py are given.
TRAINING: Mapping[str, Kind] = {
    "batch_size": COUNT,
    "num_epochs": COUNT,
    "num_steps": COUNT,
    "eval_every": COUNT,
    "save_every": COUNT,
    "patience": COUNT,
    "learning_rate": POSITIVE,
    "warmup_steps": WHOLE,
    "final_fraction": SHARE,
    "weight_decay": NOT_NEGATIVE,
    "clip_norm": POSITIVE,
    "dropout": DROPOUT,
    "seed": WHOLE,
    "train_on": Kind(lambda x: "train" in x and set(x) <= {"train", "valid"}, "('train',) or ('train', 'valid')"),
}


def check(options: ConfigDict, kinds: Mapping[str, Kind], *, flag: str = "--config") -> None:
    """Errors: UsageError for the first of the settings `kinds` that `options` has and that is not what it may be."""
    for name, kind in kinds.items():
        if name in options and not _holds(kind, options[name]):
            raise UsageError(f"{flag}.{name}={options[name]}: {kind.words}")


def of_model(config: ConfigDict) -> dict[str, Any]:
    """The settings but those without influence on the model: what a training run is of.

    Of the devices nothing is among them: the same run may go on with more hosts, or fewer.
    """
    return {name: value for name, value in config.to_dict().items() if name not in _OF_NO_MODEL}


def _holds(kind: Kind, value: Any) -> bool:
    try:
        return kind.holds(value)
    except TypeError:  # what cannot be compared with a number, such as a word among numbers
        return False
