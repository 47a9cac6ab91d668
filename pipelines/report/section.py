"""A section of the report, as one object: whoever adds a stage writes one and names it in pipelines/registry.py."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipelines.report.intervals import Metrics


@dataclass(frozen=True, kw_only=True)
class Section:
    """What a system has to say of a run.

    template: a file of pipelines/, by its path there, or `html` in its place. It is given `run`, the macros of
    report/macros.html.j2, and `parts`: results, and modules of tables and charts, whose functions it calls with it.
    numbers: what goes into metrics.json.
    """

    anchor: str
    template: str = ""
    html: str = ""
    title: str = ""  # in the navigation; "" for none
    parts: Mapping[str, Any] = field(default_factory=dict)
    numbers: Metrics = field(default_factory=dict)
