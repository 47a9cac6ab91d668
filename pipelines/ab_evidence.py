"""What the A/B test and the off-policy check have left behind, read into plain data; None where a run has neither."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.ab_stages import FOLDERS
from pipelines.charts import Point
from pipelines.evidence import Metrics
from pipelines.findings import interval
from runtime.artifact import read_json


@dataclass(frozen=True, kw_only=True)
class AbEvidence:
    """`arms` are named by the signals of their models, the control first, and so are those of the off-policy check."""

    arms: Sequence[str]
    ab_config: Mapping[str, Any]
    ab: Metrics
    definitions: Mapping[str, Mapping[str, Any]]  # metric -> title, formula, words, better
    by_day: Mapping[str, Mapping[str, Mapping[str, list[float | None]]]]  # arm -> metric -> value, low, high by day
    long_run: Mapping[str, Any]  # arm -> exposure group -> bins and slope
    off_policy: Metrics
    off_policy_arms: Sequence[str]
    off_policy_config: Mapping[str, Any]

    @property
    def control(self) -> str:
        return self.arms[0] if self.arms else ""

    @property
    def treated(self) -> Sequence[str]:
        """All arms but the control."""
        return self.arms[1:]

    def change(self, arm: str, name: str) -> Point | None:
        """The relative change of `<metric>` or `group/<group>/<metric>` from the control to this arm."""
        prefix = "" if arm == self.arms[1] else f"{arm}/"  # as simulation/experiment.py names them
        return interval(self.ab, f"{prefix}{name}/relative")


def gather_ab(workdir: Path) -> AbEvidence | None:
    """Reads WORKDIR/ab_test and WORKDIR/off_policy. Errors: DataError where a file is broken."""
    ab, off_policy = (workdir / name for name in FOLDERS)
    if not any((folder / "metrics.json").exists() for folder in (ab, off_policy)):
        return None
    run_of, estimated = (_json(folder / "config.json") for folder in (ab, off_policy))
    return AbEvidence(
        arms=_arms(run_of),
        ab_config=run_of.get("config", {}),
        ab=_json(ab / "metrics.json"),
        definitions=_json(ab / "definitions.json"),
        by_day=_json(ab / "by_day.json"),
        long_run=_json(ab / "long_run.json"),
        off_policy=_json(off_policy / "metrics.json"),
        off_policy_arms=_arms(estimated),
        off_policy_config=estimated.get("config", {}),
    )


def flat_ab(evidence: AbEvidence | None) -> dict[str, float]:
    """Every number under one flat name: `ab_test/dislike_rate/relative`, `off_policy/<arm>/dislike/dr`."""
    if evidence is None:
        return {}
    parts = {"ab_test": evidence.ab, "off_policy": evidence.off_policy}
    return {f"{part}/{name}": value for part, metrics in parts.items() for name, value in metrics.items()}


def _arms(run_of: Mapping[str, Any]) -> list[str]:
    # In the order of the command line, which files of figures, sorted by name, have lost.
    return [name for name, _ in run_of.get("arms", [])]


def _json(path: Path) -> Any:
    return read_json(path) if path.exists() else {}
