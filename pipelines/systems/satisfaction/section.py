"""The section on whether it recommends what satisfies."""

from pipelines.report.run_folder import Run
from pipelines.report.section import Section
from pipelines.systems.satisfaction import ablations, figures, tables
from pipelines.systems.satisfaction.evidence import protocols


def section(run: Run) -> Section | None:
    """Nothing where the pipeline has no satisfaction model."""
    if not run.pipeline.get("satisfaction"):
        return None
    found = protocols(run)
    return Section(
        anchor="satisfaction",
        title="Satisfaction",
        template="systems/satisfaction/satisfaction.html.j2",
        parts={
            "protocols": found,
            "examples": next((protocol.examples for protocol in found if protocol.examples), []),
            "tables": tables,
            "figures": figures,
            "ablations": ablations,
        },
        numbers={name: value for protocol in found for name, value in protocol.numbers().items()},
    )
