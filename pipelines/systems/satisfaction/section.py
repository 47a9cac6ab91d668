"""The report's section on satisfaction."""

from pipelines.report.run_folder import Run
from pipelines.report.section import Section
from pipelines.systems.satisfaction import ablations, charts, tables
from pipelines.systems.satisfaction.results import protocols


def section(run: Run) -> Section | None:
    """Nothing where the pipeline has no satisfaction model."""
    shown = protocols(run)
    if not shown:
        return None
    return Section(
        anchor="satisfaction",
        title="Satisfaction",
        template="systems/satisfaction/satisfaction.html.j2",
        parts={
            "protocols": shown,
            "examples": next((protocol.examples for protocol in shown if protocol.examples), []),
            "tables": tables,
            "charts": charts,
            "ablations": ablations,
        },
        numbers={name: value for protocol in shown for name, value in protocol.numbers().items()},
    )
