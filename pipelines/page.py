"""The report's page: evidence, findings, tables and charts poured into the template."""

import jinja2

from pipelines import figures, findings, tables
from pipelines.charts import COLOURS, signed
from pipelines.evidence import Evidence
from pipelines.stages import TEMPLATE


def render(evidence: Evidence, changes: dict[str, float]) -> str:
    """The page as a string; nothing in it is fetched from anywhere."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATE.parent),
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
    }
    return environment.get_template(TEMPLATE.name).render(
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
        training=figures.training(evidence),
        responsiveness=figures.responsiveness(evidence),
        frontiers=figures.frontiers(evidence, changes),
        colours=COLOURS,
        signals=findings.TITLES,
        paper=findings.PAPER,
    )
