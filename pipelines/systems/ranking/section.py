"""The report's section on ranking."""

from pipelines.report.run_folder import Run
from pipelines.report.section import Section
from pipelines.systems.ranking import charts, tables
from pipelines.systems.ranking.results import Ranking


def section(run: Run) -> Section | None:
    """Nothing where the pipeline has no ranker."""
    if not run.pipeline.get("ranking"):
        return None
    ranking = Ranking(run)
    return Section(
        anchor="ranking",
        title="Ranking",
        template="systems/ranking/ranking.html.j2",
        parts={"ranking": ranking, "tables": tables, "charts": charts},
        numbers=ranking.numbers(),
    )
