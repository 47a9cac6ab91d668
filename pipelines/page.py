"""The report's page: evidence, findings, tables and charts poured into the template."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2

from pipelines import ab_tables, figures, findings, ranking_figures, ranking_tables, tables
from pipelines.ab_evidence import AbEvidence
from pipelines.ab_page import ab_parts
from pipelines.charts import COLOURS, signed
from pipelines.evidence import Evidence
from pipelines.ranking_evidence import RankingEvidence
from pipelines.response_evidence import Response
from pipelines.response_page import response_parts
from pipelines.satisfaction_evidence import SatisfactionEvidence
from pipelines.satisfaction_page import satisfaction_parts


def render(
    evidence: Evidence,
    changes: dict[str, float],
    ranking: RankingEvidence | None = None,
    ab: AbEvidence | None = None,
    satisfaction: SatisfactionEvidence | None = None,
    responses: Sequence[Response] = (),
) -> str:
    """The page as a string; nothing in it is fetched from anywhere. Without `ranking`, `ab` or
    `satisfaction` its section says so."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "count": lambda number: f"{number:,}",
        "percent": lambda share: f"{share:.2%}" if share < 0.01 else f"{share:.1%}",
        "bare": lambda share: f"{share:.3f}".removeprefix("0"),  # .123, as intervals are printed
        "signed": signed,
        "precise": ab_tables.precise,
        "printed": ab_tables.printed,
    }
    return environment.get_template("report.html.j2").render(
        run=evidence,
        changes=changes,
        title=findings.title,
        interval=findings.interval,
        headline=findings.headline(evidence, changes),
        cards=tables.cards(evidence, changes),
        columns=tables.COLUMNS,
        retrieval=tables.retrieval(evidence),
        branches=tables.branches(evidence),
        examples=tables.examples(evidence),
        gate=tables.gate(evidence),
        training=figures.training(evidence),
        responsiveness=figures.responsiveness(evidence),
        frontiers=figures.frontiers(evidence, changes),
        colours=COLOURS,
        signals=findings.TITLES,
        paper=findings.PAPER,
        kinds=findings.kinds(evidence),
        response=response_parts(responses, evidence),
        **_ranking(ranking),
        **ab_parts(ab),
        **satisfaction_parts(satisfaction),
    )


def _ranking(evidence: RankingEvidence | None) -> dict[str, Any]:
    if evidence is None or not evidence.test:
        return {"ranking": None}
    return {
        "ranking": evidence,
        "ranking_sentences": ranking_tables.sentences(evidence),
        "ranking_columns": ranking_tables.columns(evidence),
        "ranking_resampled": ranking_tables.resampled(evidence),
        "ranking_rows": [
            *tables.marked(ranking_tables.rows(evidence), [more for _, _, more in ranking_tables.columns(evidence)]),
            *ranking_tables.ceiling(evidence),
        ],
        "ranking_differences": ranking_tables.differences(evidence),
        "ranking_calibration": ranking_tables.calibration(evidence),
        "ranking_groups": ranking_tables.groups(evidence),
        "ranking_colours": ranking_figures.colours(evidence),
        "ranking_charts": {
            "task_weights": ranking_figures.task_weights(evidence),
            "gates": ranking_figures.gates(evidence),
            "slots": ranking_figures.slots(evidence),
            "calibration": ranking_figures.calibration(evidence),
            "trade_off": ranking_figures.trade_off(evidence),
        },
    }
