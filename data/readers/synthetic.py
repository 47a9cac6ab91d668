"""The synthetic feeds that `python -m simulation.world` writes as canonical tables, one for each size of it."""

from collections.abc import Mapping
from typing import Any

from data.readers import Dataset, canonical
from data.traits import Traits

# Shares as measured on `demo`; the others differ by less than half.
_FEEDBACK = {
    "click": 0.46,
    "long_view": 0.32,
    "like": 0.017,
    "follow": 0.0014,
    "comment": 0.0026,
    "share": 0.001,
    "dislike": 0.01,
    "skip": 0.39,
}
# Of 10,000 answers one fit of an MLP varies as much as estimators differ; logistic regression hardly does.
_FEW_ANSWERS = {
    "satisfaction.hidden": 0,
    "satisfaction.batch_size": 4096,
    "satisfaction.num_steps": 200,
    "satisfaction.eval_every": 20,
    "satisfaction.learning_rate": 2e-2,
    "satisfaction.clip": 0.02,
}


def _feed(name: str, events: int, settings: Mapping[str, Mapping[str, Any]], *, short: bool = False) -> Dataset:
    return Dataset(
        name=name,
        description=f"the synthetic feed of configs/world.py:{name}, {events:,} events",
        source_files=canonical.source_files,
        read=canonical.read_tables,
        traits=Traits(
            events,
            _FEEDBACK,
            **dict.fromkeys(("play_times", "questionnaires", "random_exposures", "creators", "clusters"), True),
        ),
        settings=settings,
        short=short,
    )


DATASETS = (
    # Retrieval has 584 steps: with its own rate of 3e-3 Recall@100 of the validation days still rose at the last, .400
    # instead of .431.
    _feed("demo", 300_000, {"retrieval": {"num_epochs": 4, "learning_rate": 1e-2}, "satisfaction": _FEW_ANSWERS}),
    _feed("standard", 1_000_000, {"retrieval": {"batch_size": 64, "num_epochs": 4}, "satisfaction": _FEW_ANSWERS}),
    _feed("tiny", 24_000, {}, short=True),
)
