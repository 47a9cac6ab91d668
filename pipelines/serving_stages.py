"""The stages that end in a recommender to be served: the gate, where the pipeline has one, and the export for servers.

    counterfactual/<variant>, test/<variant>, test/<reference> -> [gate] -> serve

A model that falls short of `gate` is not exported, nor is what needs it run; one that passes carries the verdict in its
manifest.
"""

from pathlib import Path

from ml_collections import ConfigDict

from pipelines.served import candidates, reference, served
from pipelines.stage import PIPELINE, Stage

FOLDER = "gate"
VERDICT = "verdict.json"


def serving_stages(config: ConfigDict, workdir: Path, timelines: Path) -> list[Stage]:
    """The gate and what is served."""
    model = served(config, workdir)
    gate = [_gate(config, workdir)] if config.gate else []
    verdict = tuple(stage.outputs[0] for stage in gate)
    serve = Stage(
        name="serve",
        module="retrieval.export",
        folder=workdir / "serve",
        config=f"configs/retrieval.py:{config.retrieval},{config.serve}",
        flags=(
            f"--data={timelines}",
            f"--checkpoint={model.checkpoint}",
            *(f"--verdict={file}" for file in verdict),
        ),
        inputs=(timelines / "manifest.json", *model.made_from, model.checkpoint / "metrics.json", *verdict),
        outputs=(workdir / "serve" / "metrics.json", workdir / "serve" / "recommender" / "manifest.json"),
    )
    return [*gate, serve]


def _gate(config: ConfigDict, workdir: Path) -> Stage:
    names = [variant.name for variant in candidates(config, config.serve)]
    measured = [workdir / "counterfactual" / name / "metrics.json" for name in names]
    measured += [workdir / "test" / name / "metrics.json" for name in (*names, reference(config).name)]
    return Stage(
        name=FOLDER,
        module="pipelines.gate",
        folder=workdir,
        inputs=(workdir / PIPELINE, *served(config, workdir).made_from, *measured),
        outputs=(workdir / FOLDER / VERDICT, workdir / FOLDER / "metrics.json"),
        keeps_folder=True,
    )
