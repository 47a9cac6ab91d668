"""The stages that end in a recommender to be served: the gate, where the pipeline has one, and the export for servers.

    counterfactual/<variant>, test/<variant>, test/<reference> -> [gate] -> serve

A model that falls short of `gate` is not exported, nor is what needs it run; one that passes carries the verdict in its
manifest.
"""

from pathlib import Path

from ml_collections import ConfigDict

from pipelines.graph.stage import Stage
from pipelines.systems import left_out
from pipelines.systems.feed.stages import LOG, TIMELINES
from pipelines.systems.retrieval.served import candidates, reference, served
from pipelines.systems.retrieval.stages import RECOMMENDER, settings_of_choice

VERDICT = Path("gate/verdict.json")
_AIM = "the model that is served, with its index"


def stages(config: ConfigDict) -> list[Stage]:
    """The gate and what is served."""
    model, verdict = served(config), VERDICT if config.gate else None
    serve = Stage(
        name="serve",
        module="retrieval.export",
        config=f"configs/retrieval.py:{config.retrieval},{config.serve}",
        flags={"data": TIMELINES, "checkpoint": model.checkpoint, "verdict": verdict, "left_out": left_out.FILE},
        inputs=(
            *(LOG, left_out.FILE, *model.settled_by, model.checkpoint / "metrics.json"),
            *([verdict] if verdict else []),
        ),
        writes=RECOMMENDER,
        aim=_AIM,
        effort=0.5,
    )
    return [*([_gate(config)] if config.gate else []), serve]


def _gate(config: ConfigDict) -> Stage:
    names = [variant.name for variant in candidates(config, config.serve)]
    measured = [Path("counterfactual") / name / "metrics.json" for name in names]
    against = reference(config)
    measured += [Path("test") / name / "metrics.json" for name in (*names, *([against.name] if against else []))]
    return Stage(
        name="gate",
        module="pipelines.gate",
        settings={**settings_of_choice(config), "gate": config.gate.to_dict()},
        inputs=(*served(config).made_from, *measured),
        writes=(VERDICT.name, "metrics.json"),
        aim=_AIM,
    )
