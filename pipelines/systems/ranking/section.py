"""The section on what is ranked, and how well."""

from pipelines.report.run_folder import Run
from pipelines.report.section import Section
from pipelines.systems.ranking import figures, tables
from pipelines.systems.ranking.evidence import Ranking


def section(run: Run) -> Section | None:
    """Nothing where the pipeline has no ranker."""
    if not run.pipeline.get("ranking"):
        return None
    ranking = Ranking(run)
    return Section(
        anchor="ranking",
        title="Ranking",
        template="systems/ranking/ranking.html.j2",
        parts={"ranking": ranking, "tables": tables, "figures": figures},
        numbers=ranking.numbers(),
    )
