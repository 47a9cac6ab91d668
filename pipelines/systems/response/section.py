"""The report's section on how the served model responds to more than one no, and for how long."""

from pipelines.report.run_folder import Run, prefixed
from pipelines.report.section import Section
from pipelines.systems.response import charts, tables
from pipelines.systems.response.results import responses
from pipelines.systems.response.stages import FOLDER, REFERENCE, signals
from pipelines.systems.retrieval.models import models, titles


def section(run: Run) -> Section | None:
    """Numbers: `responsiveness/memory/served/after_5/long_watch+dislike/content`. Nothing without experiments."""
    if not run.pipeline.get("experiments"):
        return None
    measured = responses(run)
    experiments = {response.experiment for response in measured}
    numbers: dict[str, float] = {}
    for response in measured:
        numbers |= prefixed(f"{FOLDER}/{response.experiment}/{response.model}", response.metrics)
    shown = tables.tables(measured, models(run))
    return Section(
        anchor="response",
        template="systems/response/response.html.j2",
        parts={
            "responses": measured,
            "events_read": next((int(r.metrics["events_read"]) for r in measured if "events_read" in r.metrics), 0),
            "experiments": experiments,
            "with_state": not experiments.isdisjoint(charts.WITH_STATE),
            "by_vectors": any(
                "vectors" in words
                for table in shown.values()
                for words in (*table.headings, *(row.label for row in table.rows))
            ),
            "tables": shown,
            "charts": charts,
            "models": [signals(run.pipeline, model) for model in charts.models(measured)],
            "signals": titles(run.config),
            "reference": signals(run.pipeline, REFERENCE),
        },
        numbers=numbers,
    )
