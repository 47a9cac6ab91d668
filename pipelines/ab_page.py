"""The A/B section's parts, poured into ab.html.j2: a view of each test, and the off-policy check."""

from typing import Any

from pipelines import ab_figures, ab_tables
from pipelines.ab_evidence import AbEvidence, AbTest
from pipelines.ab_ranked import FIRST, finding
from pipelines.findings import interval
from pipelines.systems.ab.stages import AB_RANKED, AB_TEST


def ab_parts(evidence: AbEvidence | None) -> dict[str, Any]:
    """What the template asks for; a test without figures is said to be missing where the pipeline asks for it."""
    signals, ranked = (evidence.signals, evidence.ranked) if evidence else (None, None)
    return {
        "ab": evidence,
        "ab_signals": _signals(signals),
        "ab_ranked": _ranked(ranked),
        "ab_groups": ab_tables.GROUPS,
        "ab_off_policy": ab_tables.off_policy(evidence) if evidence else [],
    }


def _signals(test: AbTest | None) -> dict[str, Any]:
    if test is None or not test.metrics:
        return {"stage": AB_TEST, "test": None}
    return {
        "stage": AB_TEST,
        **_tables(test, ab_tables.rows(test)),
        "split": f"between {len(test.arms)} models, and served by them",
        "finding": "",
        "not_tested": ab_tables.not_tested(test),
        "by_day": ab_figures.by_day(test, ab_figures.SIGNAL_DAYS),
        "publish": "Wang et al., RecSys ’23, publish for their live experiment (their figure 2 and section 3)",
    }


def _ranked(test: AbTest | None) -> dict[str, Any]:
    if test is None or not test.metrics:
        return {"stage": AB_RANKED, "test": None}
    return {
        "stage": AB_RANKED,
        **_tables(test, ab_tables.rows(test, FIRST)),
        "split": f"between {len(test.arms)} orders of what the served model retrieves, and live with theirs",
        "finding": finding(test),
        "not_tested": {},
        "by_day": ab_figures.by_day(test, ab_figures.RANKED_DAYS),
        "publish": "Zhang et al., CIKM ’24, publish for their live experiment (their section 5.5)",
    }


def _tables(test: AbTest, rows: list[ab_tables.AbRow]) -> dict[str, Any]:
    return {
        "test": test,
        "rows": rows,
        "titles": {arm: ab_tables.arm_title(arm) for arm in test.arms},
        "sentences": ab_tables.sentences(test),
        "published": {cell.arm for row in rows for cell in row.cells if cell.published},
        "slopes": ab_tables.slopes(test),
        "aa_mean": interval(test.metrics, "aa/mean"),
        "long_run": ab_figures.long_run(test),
    }
