"""The parts of the closer look at the served model's response, poured into response.html.j2."""

from collections.abc import Sequence
from typing import Any

from pipelines import response_figures, response_tables
from pipelines.evidence import Evidence
from pipelines.response_evidence import Response
from pipelines.systems.response.stages import REFERENCE, signals


def response_parts(responses: Sequence[Response], evidence: Evidence) -> dict[str, Any]:
    """What the template asks for; a chart or table of what was not measured is empty."""
    read = [int(one.metrics["events_read"]) for one in responses if "events_read" in one.metrics]
    return {
        "steps": response_figures.steps(responses, evidence),
        "since": response_figures.since(responses, evidence),
        "forgetting": response_figures.forgetting(responses, evidence),
        "events_read": read[0] if read else 0,
        "with_state": any(one.experiment == "forgetting_state" for one in responses),
        "models": [signals(evidence.pipeline, model) for model in response_figures.models(responses)],
        "tables": [
            ("A no to one cluster, and then to others", response_tables.elsewhere(responses)),
            ("After retrieval, and after ranking", response_tables.ranked(responses, evidence)),
            ("At other lengths of history and slate", response_tables.sweep(responses)),
        ],
        "vectors": any("/vectors" in name for response in responses for name in response.metrics),
        "reference": signals(evidence.pipeline, REFERENCE),
    }
