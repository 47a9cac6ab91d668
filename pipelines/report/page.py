"""Renders the report: one HTML file of all sections, which fetches nothing from anywhere."""

import re
from collections.abc import Sequence

import jinja2
import markupsafe

from pipelines.graph.sources import ROOT
from pipelines.report.charts import colour_of
from pipelines.report.intervals import interval, minus, precise, signed
from pipelines.report.run_folder import Run
from pipelines.report.section import Section


def numbers(sections: Sequence[Section]) -> dict[str, float]:
    """Every number on the page under one flat name."""
    return {name: value for section in sections for name, value in section.numbers.items()}


def _code(text: str) -> markupsafe.Markup:
    """Markup of a text in which `names` stand between backticks, as in what a terminal is told."""
    return markupsafe.Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(markupsafe.escape(text))))


def render(run: Run, sections: Sequence[Section]) -> str:
    """The page as a string: the first section above the navigation, then every other."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(ROOT / "pipelines"),
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
        "precise": precise,
        "minus": minus,
        "code": _code,
    }
    environment.globals |= {"run": run, "colour_of": colour_of, "interval": interval}
    macros = environment.get_template("report/macros.html.j2").module
    environment.globals |= {name: macro for name, macro in vars(macros).items() if not name.startswith("_")}

    def html(section: Section) -> str:
        template = environment.from_string(section.html) if section.html else environment.get_template(section.template)
        return template.render(section.parts)

    headline, *others = sections
    bodies = [(section, html(section)) for section in others]
    return environment.get_template("report/page.html.j2").render(headline=html(headline), sections=bodies)
