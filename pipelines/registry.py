"""The systems of a pipeline: whoever adds one writes it in pipelines/systems/, and names it in the two lists here.

[world] -> prepare -> retrieval -> response
                                -> serving -> ab
                   -> satisfaction -> ranking -> response, ab
                   ... all of them -> report
"""

from pathlib import Path

from ml_collections import ConfigDict

from pipelines.graph.records import record_of
from pipelines.graph.sources import ROOT
from pipelines.graph.stage import Stage
from pipelines.report.run_folder import Run
from pipelines.report.section import Section
from pipelines.settings import with_settings
from pipelines.systems.ab import stages as ab
from pipelines.systems.feed import stages as feed
from pipelines.systems.left_out import FILE as LEFT_OUT
from pipelines.systems.ranking import stages as ranking
from pipelines.systems.response import stages as response
from pipelines.systems.retrieval import stages as retrieval
from pipelines.systems.satisfaction import stages as satisfaction
from pipelines.systems.serving import stages as serving

# In an order in which they can run; what the gate of `serving` may leave out after everything that it does not.
STAGES = (retrieval, satisfaction, ranking, response, serving, ab)


def stages(config: ConfigDict, *, data: Path | None) -> list[Stage]:
    """Every stage of a pipeline, in an order in which they can run; `data` is None for the synthetic feed."""
    before = [*feed.stages(config, data), *(stage for system in STAGES for stage in system.stages(config))]
    templates = sorted((ROOT / "pipelines").rglob("*.j2"))
    report = Stage(
        name="report",
        module="pipelines.report",
        settings=config.to_dict(),
        place=".",
        inputs=(LEFT_OUT, *(file for stage in before for file in (*stage.outputs, record_of(stage.name)))),
        outside={str(file.relative_to(ROOT)): file for file in templates},
        writes=("metrics.json", "report.html"),
        aim="the report",
    )
    return [with_settings(stage, config) for stage in (*before, report)]


def planned(config: ConfigDict) -> dict[str, Path]:
    """The stages that a pipeline has, but that of the report: name -> folder."""
    log = {feed.PREPARE: feed.TIMELINES} | ({feed.WORLD.name: feed.WORLD} if config.world else {})
    return log | {stage.name: stage.folder for system in STAGES for stage in system.stages(config)}


def sections(run: Run) -> list[Section]:
    """The sections of a run's report, in the order in which they are read; the first stands above the navigation."""
    # Here, so that running stages loads none of what draws.
    from pipelines.report import left_out, made
    from pipelines.systems.ab import section as ab
    from pipelines.systems.feed import section as feed
    from pipelines.systems.ranking import section as ranking
    from pipelines.systems.response import section as response
    from pipelines.systems.retrieval import sections as retrieval
    from pipelines.systems.satisfaction import section as satisfaction
    from pipelines.systems.serving import sections as serving

    in_order = (
        retrieval.the_answer,
        left_out.section,
        retrieval.responsiveness,
        response.section,
        serving.gate,
        retrieval.on_test_days,
        ranking.section,
        satisfaction.section,
        retrieval.frontier,
        retrieval.slates,
        ab.section,
        feed.section,
        retrieval.training,
        serving.index,
        serving.card,
        made.section,
    )
    return [shown for section in in_order if (shown := section(run))]
