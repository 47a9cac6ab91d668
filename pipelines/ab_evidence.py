"""What the A/B test and the off-policy check have left behind, read into plain data; None where a run has neither."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.ab_stages import FOLDERS
from pipelines.evidence import Metrics
from pipelines.stage import PIPELINE
from runtime.artifact import read_json


@dataclass(frozen=True, kw_only=True)
class AbEvidence:
    """`treatment` names the signals of the treatment arm, "" where the run does not say."""

    treatment: str
    ab_config: Mapping[str, Any]
    ab: Metrics
    definitions: Mapping[str, Mapping[str, Any]]  # metric -> title, formula, words, better
    by_day: Mapping[str, Mapping[str, list[float | None]]]  # metric -> value, low, high by day
    long_run: Mapping[str, Any]  # arm -> exposure group -> bins and slope
    off_policy: Metrics
    off_policy_config: Mapping[str, Any]


def gather_ab(workdir: Path) -> AbEvidence | None:
    """Reads WORKDIR/ab_test and WORKDIR/off_policy. Errors: DataError where a file is broken."""
    ab, off_policy = (workdir / name for name in FOLDERS)
    if not any((folder / "metrics.json").exists() for folder in (ab, off_policy)):
        return None
    daily = _json(ab / "by_day.json")
    return AbEvidence(
        treatment=_json(workdir / PIPELINE).get("serve", ""),
        ab_config=_json(ab / "config.json").get("config", {}),
        ab=_json(ab / "metrics.json"),
        definitions=_json(ab / "definitions.json"),
        by_day=next(iter(daily.values()), {}),
        long_run=_json(ab / "long_run.json"),
        off_policy=_json(off_policy / "metrics.json"),
        off_policy_config=_json(off_policy / "config.json").get("config", {}),
    )


def flat_ab(evidence: AbEvidence | None) -> dict[str, float]:
    """Every number under one flat name: `ab_test/dislike_rate/relative`, `off_policy/control/dislike/dr`."""
    if evidence is None:
        return {}
    parts = {"ab_test": evidence.ab, "off_policy": evidence.off_policy}
    return {f"{part}/{name}": value for part, metrics in parts.items() for name, value in metrics.items()}


def _json(path: Path) -> Any:
    return read_json(path) if path.exists() else {}
