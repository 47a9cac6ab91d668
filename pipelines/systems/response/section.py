"""The section on more than one no, and on how long it lasts."""

from pipelines.report.run_folder import Run, prefixed
from pipelines.report.section import Section
from pipelines.systems.response import figures, tables
from pipelines.systems.response.evidence import responses
from pipelines.systems.response.stages import FOLDER, REFERENCE, signals
from pipelines.systems.retrieval.models import TITLES, models


def section(run: Run) -> Section | None:
    """Numbers: `responsiveness/memory/served/after_5/long_watch+dislike/content`. Nothing without experiments."""
    if not run.pipeline.get("experiments"):
        return None
    found = responses(run)
    numbers: dict[str, float] = {}
    for response in found:
        numbers |= prefixed(f"{FOLDER}/{response.experiment}/{response.model}", response.metrics)
    return Section(
        anchor="response",
        template="systems/response/response.html.j2",
        parts={
            "responses": found,
            "events_read": next((int(r.metrics["events_read"]) for r in found if "events_read" in r.metrics), 0),
            "with_state": any(response.experiment == "forgetting_state" for response in found),
            "by_vectors": any("/vectors" in name for name in numbers),
            "tables": tables.tables(found, models(run)),
            "figures": figures,
            "models": [signals(run.pipeline, model) for model in figures.models(found)],
            "signals": TITLES,
            "reference": signals(run.pipeline, REFERENCE),
        },
        numbers=numbers,
    )
