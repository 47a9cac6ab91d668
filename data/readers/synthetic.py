"""The synthetic feeds that `python -m simulation.world` writes as canonical tables, one for each size of it."""

from collections.abc import Mapping
from typing import Any

from data.readers import Dataset, later
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
# Their pipelines (configs/pipeline.py), all with a gate: `standard` asks for half of the similar items gone, and a loss
# with room beside `keep_recall`, as other days differ; `demo` has a third of its log, and room for what another seed
# may bring; `tiny` learns too little to be asked for the former.
_BLIND, _READS, _LEARNS, _SKIPS = "no_dislike_signal", "dislike_input", "dislike_input_and_label", "skip_label"
_PAPER, _ALONE = "_paper_tower", "_without_counts"
_HEAVY = (300.0, 1000.0, 3000.0)
_EVERY_SYSTEM = ("ranking", "satisfaction", "ab_test", "off_policy")
_CLOSER = ("in_a_row", "memory", "elsewhere", "undo", "forgetting")
_SERVED = ("served",)


def _pipeline(world: str, weights: Mapping[str, tuple[float, ...]], **more: Any) -> dict[str, Any]:
    plain = (_BLIND, _READS, _READS + _PAPER)
    settings = {"world": world, "plain": plain, "weights": weights, "keep_recall": 0.97, "final": False}
    return {**settings, "systems": (), **more}


# One weight is enough to see what the towers do with dislikes without co-visitation, and the paper's own without memory
# either; `standard` has every one of the latter.
_DEMO = _pipeline(
    "demo",
    {_LEARNS: (300.0, 1000.0), _LEARNS + _ALONE: (1000.0,), _LEARNS + _PAPER: (1000.0,), _SKIPS: (100.0,)},
    experiments={"elsewhere": ("served", "paper_tower"), "lasting": _SERVED},
    gate={"min_responsiveness": -0.4, "max_recall_loss": 0.1},
)
# On feeds that could be real nothing is asked for yet: they have no gate.
_DEMO_LATENT = {**_DEMO, "gate": {}}
_STANDARD = _pipeline(
    "standard",
    {_LEARNS: _HEAVY, _LEARNS + _ALONE: (1000.0,), _LEARNS + _PAPER: _HEAVY, _SKIPS: (30.0, 100.0, 300.0)},
    systems=_EVERY_SYSTEM,
    ranking_variants=("no_feedback_encoder",),
    satisfaction_weight=2.0,
    experiments={
        **dict.fromkeys(_CLOSER, ("served", "reference", "paper_tower")),
        "sweeps": _SERVED,
        "ranked": _SERVED,
        "forgetting_state": _SERVED,
        "lasting": _SERVED,
    },
    gate={"min_responsiveness": -0.5, "max_recall_loss": 0.05},
)
_TINY = _pipeline(
    "tiny",
    {_LEARNS: (100.0,), _LEARNS + _PAPER: (100.0,)},
    final=True,
    final_all=True,
    systems=_EVERY_SYSTEM,
    ranking_variants=("mlp",),
    ranking_seeds=2,
    satisfaction_ablations={"what": ("no_unbiased",), "click_losses": ("exact",), "seeds": 1, "refit": False},
    satisfaction_weight=2.0,
    counterfactual="tiny",
    off_policy="tiny",
    experiments={**dict.fromkeys((*_CLOSER, "sweeps", "ranked"), _SERVED), "elsewhere": ("served", "paper_tower")},
    ranked={"users": 50, "candidates": 20},
    gate={"max_recall_loss": 0.9},
    aa_tests=3,
)


def _feed(name: str, events: int, settings: Mapping[str, Mapping[str, Any]], *, short: bool = False) -> Dataset:
    return Dataset(
        name=name,
        description=f"the synthetic feed of configs/world.py:{name}, {events:,} events",
        source_files=later("data.readers.canonical.layout.source_files"),
        read=later("data.readers.canonical.layout.read_tables"),
        traits=Traits(
            events,
            _FEEDBACK,
            **dict.fromkeys(
                ("play_times", "questionnaires", "random_exposures", "creators", "clusters", "uploads"), True
            ),
        ),
        settings=settings,
        short=short,
    )


DATASETS = (
    _feed(
        "demo",
        300_000,
        {
            "retrieval": {"num_epochs": 4},
            "satisfaction": _FEW_ANSWERS,
            "pipeline": _DEMO,
            "pipeline_sticky": _pipeline("demo,sticky", {_LEARNS: _HEAVY, _LEARNS + _PAPER: (1000.0,)}),
            "pipeline_latent": {**_DEMO_LATENT, "world": "demo,latent"},
            "pipeline_latent_rare": {**_DEMO_LATENT, "world": "demo,latent_rare"},
        },
    ),
    _feed(
        "standard",
        1_000_000,
        {
            "retrieval": {"num_epochs": 4},
            "satisfaction": _FEW_ANSWERS,
            "pipeline": _STANDARD,
            "pipeline_sticky": _pipeline("standard,sticky", {_LEARNS: _HEAVY, _LEARNS + _PAPER: _HEAVY}),
            "pipeline_latent": {**_STANDARD, "world": "standard,latent", "gate": {}},
            "pipeline_latent_rare": {**_STANDARD, "world": "standard,latent_rare", "gate": {}},
        },
    ),
    _feed("tiny", 24_000, {"pipeline": _TINY}, short=True),
)
