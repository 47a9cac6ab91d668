"""The report's section on the log: how many of its rows were kept, and what people did."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data.feedback import BITS, has
from data.timelines import SPLITS, Timelines
from pipelines.report.run_folder import Run, prefixed
from pipelines.report.section import Section
from pipelines.systems.feed.stages import LOG, TIMELINES, WORLD

_DAY_MS = 86_400_000


def section(run: Run) -> Section:
    """Numbers: `world/…` of the synthetic feed, `log/…` of the timelines."""
    log = _facts(run.workdir / TIMELINES) if (run.workdir / LOG).exists() else {}
    world = run.metrics(WORLD.name)
    numbers = prefixed("world", world) | prefixed("log", log)
    timelines = run.json(str(LOG))
    parts = {"timelines": timelines, "log": log, "has": _has(timelines) if timelines else ()}
    return Section(anchor="data", title="Data", template="systems/feed/data.html.j2", parts=parts, numbers=numbers)


def _has(manifest: Mapping[str, Any]) -> list[str]:
    # What the log could tell of at all, as data.prepare says it: a share of 0 of it is a finding.
    return [*manifest["feedback"], *(["randomly_exposed"] if manifest["traits"]["random_exposures"] else [])]


def _facts(folder: Path) -> dict[str, float]:
    log = Timelines.open(folder)
    known = log.timestamp_ms > 0  # earlier history has no times
    days = (log.timestamp_ms[known].max() - log.timestamp_ms[known].min()) / _DAY_MS
    return {
        "users": log.num_users,
        "items": log.num_items,
        "events": len(log.item),
        "events/earlier_history": int((~known).sum()),
        **{f"events/{split}": int((log.in_split(split) & known).sum()) for split in SPLITS},
        "days": max(1, round(days)),
        "rate/randomly_exposed": float(log.randomly_exposed[known].mean()),
        **{f"rate/{name}": float(has(log.feedback[known], name).mean()) for name in BITS},
    }
