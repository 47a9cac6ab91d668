"""The optimizer of training/ at settings that tests leave out: no warm-up, a cosine to 0, no decay."""

from typing import Any

from ml_collections import ConfigDict

from training.optimizer import make_optimizer

SETTINGS = {"learning_rate": 0.1, "final_fraction": 0.0, "weight_decay": 0.0, "clip_norm": 1.0}


def plain_optimizer(*, total_steps: int, decays: Any = (), rowwise: Any = None, **settings: float):
    """`make_optimizer` of SETTINGS and what `settings` says otherwise."""
    options = ConfigDict({**SETTINGS, **settings})
    return make_optimizer(options, total_steps=total_steps, decays=decays, rowwise=rowwise)
