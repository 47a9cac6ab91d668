"""The report's section on A/B tests and off-policy estimates: what models do to people over days."""

from pipelines.report.run_folder import Run, prefixed
from pipelines.report.section import Section
from pipelines.systems.ab import charts, tables
from pipelines.systems.ab.results import Test
from pipelines.systems.ab.stages import FOLDERS, stages
from pipelines.systems.serving.sections import refused


def section(run: Run) -> Section | None:
    """Numbers: `ab_test/dislike_rate/relative`, `ab_ranked/true_satisfaction/relative`, `off_policy/<arm>/dislike/dr`.

    Nothing where the pipeline has none of these.
    """
    planned = {stage.name for stage in stages(run.config)}
    if not planned:
        return None
    # An earlier run may have served, and tested, another model than the one that the gate has refused.
    signals, orders, off_policy = (Test(run, name, shown=not refused(run)) for name in FOLDERS)
    numbers: dict[str, float] = {}
    for test in (signals, orders, off_policy):
        numbers |= prefixed(test.stage, test.metrics)
    return Section(
        anchor="ab",
        title="A/B test",
        template="systems/ab/ab.html.j2",
        parts={
            "planned": planned,
            "of_signals": signals,
            "of_orders": orders,
            "off_policy": off_policy,
            "tables": tables,
            "charts": charts,
        },
        numbers=numbers,
    )
