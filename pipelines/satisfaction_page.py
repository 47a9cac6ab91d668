"""The satisfaction section's parts, poured into satisfaction.html.j2."""

from typing import Any

from pipelines import ablation_figures, ablation_tables, satisfaction_figures, satisfaction_tables
from pipelines.satisfaction_evidence import Protocol, SatisfactionEvidence
from pipelines.tables import Row, marked


def satisfaction_parts(evidence: SatisfactionEvidence | None) -> dict[str, Any]:
    """What the template asks for; without evidence the section says that nothing was measured."""
    if evidence is None:
        return {"satisfaction": None, "satisfaction_examples": []}
    return {
        "satisfaction": [_part(protocol) for protocol in evidence.protocols],
        "satisfaction_examples": next((p.examples for p in evidence.protocols if p.examples), []),
    }


def _part(protocol: Protocol) -> dict[str, Any]:
    return {
        "name": protocol.name,
        "title": satisfaction_tables.TITLES.get(protocol.name, protocol.name),
        "headings": [heading for _, heading in (*satisfaction_tables.COLUMNS, *satisfaction_tables.FULL_COLUMNS)],
        "test": protocol.test,
        "rows": _marked(satisfaction_tables.rows(protocol)) if protocol.test else [],
        "gains": satisfaction_tables.gains(protocol),
        "groups": _marked(satisfaction_tables.groups(protocol)),
        "sentences": satisfaction_tables.sentences(protocol),
        "propensity": satisfaction_figures.propensity(protocol),
        "levels": satisfaction_figures.level_weights(protocol),
        "train": protocol.train,
        "ablations": ablation_tables.ablations(protocol),
        "ablated": protocol.ablations,
        "sweeps": ablation_figures.sweeps(protocol),
        "colours": ablation_figures.legend(protocol),
    }


def _marked(rows: list[Row]) -> list[Row]:
    # More is better in each of their columns.
    return marked(rows, [True] * len(rows[0].cells))
