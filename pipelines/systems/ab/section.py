"""The section on what it does to people, over days: tests of models and of orders, and what a log says of it."""

from typing import Any

from pipelines.report.intervals import interval
from pipelines.report.run import Run, prefixed
from pipelines.report.section import Section
from pipelines.systems.ab import figures, ranked, tables
from pipelines.systems.ab.evidence import Test
from pipelines.systems.ab.stages import AB_TEST, FOLDERS, OFF_POLICY
from pipelines.systems.serving.sections import refused


def section(run: Run) -> Section | None:
    """Numbers: `ab_test/dislike_rate/relative`, `ab_ranked/true_satisfaction/relative`, `off_policy/<arm>/dislike/dr`.

    Nothing where the pipeline has neither the first test nor the check.
    """
    if not (run.pipeline.get(AB_TEST) or run.pipeline.get(OFF_POLICY)):
        return None
    # An earlier run may have served, and tested, another model than the one that the gate has refused.
    signals, orders, off_policy = (Test(run, stage, shown=not refused(run)) for stage in FOLDERS)
    numbers: dict[str, float] = {}
    for test in (signals, orders, off_policy):
        numbers |= prefixed(test.stage, test.metrics)
    return Section(
        anchor="ab",
        title="A/B test",
        template="systems/ab/ab.html.j2",
        parts={
            "of_signals": _of_signals(signals),
            "of_orders": _of_orders(orders),
            "off_policy": off_policy,
            "tables": tables,
            "figures": figures,
        },
        numbers=numbers,
    )


def _of_signals(test: Test) -> dict[str, Any]:
    return {
        **_view(test, tables.rows(test)),
        "split": f"between {len(test.arms)} models, and served by them",
        "finding": "",
        "not_tested": tables.not_tested(test),
        "by_day": figures.by_day(test, figures.SIGNAL_DAYS),
        "publish": "Wang et al., RecSys ’23, publish for their live experiment (their figure 2 and section 3)",
    }


def _of_orders(test: Test) -> dict[str, Any]:
    return {
        **_view(test, tables.rows(test, ranked.FIRST)),
        "split": f"between {len(test.arms)} orders of what the served model retrieves, and live with theirs",
        "finding": ranked.finding(test),
        "not_tested": {},
        "by_day": figures.by_day(test, figures.RANKED_DAYS),
        "publish": "Zhang et al., CIKM ’24, publish for their live experiment (their section 5.5)",
    }


def _view(test: Test, rows: list[tables.AbRow]) -> dict[str, Any]:
    return {
        "test": test,
        "rows": rows,
        "titles": {arm: tables.arm_title(arm) for arm in test.arms},
        "published": {cell.arm for row in rows for cell in row.cells if cell.published},
        "aa_mean": interval(test.metrics, "aa/mean"),
    }
