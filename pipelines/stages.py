"""The graph of stages: every system's own, from the data to the report.

[world] -> prepare -> retrieval_stages -> response_stages
                                       -> serving_stages -> ab_stages
                   -> satisfaction_stages -> ranking_stages -> response_stages, ab_stages
                   ... all of them -> report

What the gate of serving_stages may leave out comes after everything that it does not.
"""

from pathlib import Path

from ml_collections import ConfigDict

from pipelines.ab_stages import ab_stages
from pipelines.ranking_stages import ranking_stages
from pipelines.response_stages import response_stages
from pipelines.retrieval_stages import retrieval_stages
from pipelines.satisfaction_stages import satisfaction_stages
from pipelines.serving_stages import serving_stages
from pipelines.stage import PIPELINE, Stage

TEMPLATE = Path(__file__).with_name("report.html.j2")
TEMPLATES = tuple(sorted(TEMPLATE.parent.glob("*.j2")))  # the report's, section by section


def stages(config: ConfigDict, *, data: str, workdir: Path) -> list[Stage]:
    """Every stage of a pipeline, in an order in which they can run; `data` is "" for the synthetic feed."""
    timelines = workdir / "timelines"
    sources = [] if data else [_world(config, workdir / "world")]
    before = [
        *sources,
        _prepare(config, data=data or str(workdir / "world" / "tables"), sources=sources, timelines=timelines),
        *retrieval_stages(config, workdir, timelines),
        *satisfaction_stages(config, workdir, timelines),
        *ranking_stages(config, workdir, timelines),
        *response_stages(config, workdir),
        *serving_stages(config, workdir, timelines),
        *ab_stages(config, workdir, timelines),
    ]
    report = Stage(
        name="report",
        module="pipelines.report",
        folder=workdir,
        inputs=(workdir / PIPELINE, *TEMPLATES, *(file for stage in before for file in stage.outputs)),
        outputs=(workdir / "metrics.json", workdir / "report.html"),
        keeps_folder=True,
    )
    return [*before, report]


def _world(config: ConfigDict, folder: Path) -> Stage:
    return Stage(
        name="world",
        module="simulation.world",
        folder=folder,
        config=f"configs/world.py:{config.world}",
        outputs=(folder / "tables" / "manifest.json", folder / "metrics.json"),
    )


def _prepare(config: ConfigDict, *, data: str, sources: list[Stage], timelines: Path) -> Stage:
    # The synthetic feed's manifest vouches for its files; a user's are inputs one by one.
    files = [file for s in sources for file in s.outputs] or sorted(f for f in Path(data).rglob("*") if f.is_file())
    return Stage(
        name="prepare",
        module="data.prepare",
        folder=timelines,
        config=f"configs/data.py:{config.data}",
        flags=(f"--data={data}",),
        inputs=tuple(files),
        outputs=(timelines / "manifest.json", timelines / "metrics.json"),
    )
