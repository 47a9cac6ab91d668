"""What the A/B tests and the off-policy check have left behind, read into plain data; None where a run has none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.charts import Point
from pipelines.evidence import Metrics
from pipelines.findings import interval
from pipelines.systems.ab.stages import AB_RANKED, AB_TEST, FOLDERS, OFF_POLICY
from runtime.artifact import read_json


@dataclass(frozen=True, kw_only=True)
class AbTest:
    """One test; empty where it has not been run. `arms` have the control first."""

    arms: Sequence[str]
    config: Mapping[str, Any]
    metrics: Metrics
    definitions: Mapping[str, Mapping[str, Any]]  # metric -> title, formula, words, better
    by_day: Mapping[str, Mapping[str, Mapping[str, list[float | None]]]]  # arm -> metric -> value, low, high by day
    long_run: Mapping[str, Any]  # arm -> exposure group -> bins and slope

    @property
    def control(self) -> str:
        return self.arms[0] if self.arms else ""

    @property
    def treated(self) -> Sequence[str]:
        """All arms but the control."""
        return self.arms[1:]

    def change(self, arm: str, name: str) -> Point | None:
        """The relative change of `<metric>` or `group/<group>/<metric>` from the control to this arm."""
        prefix = "" if arm == self.arms[1] else f"{arm}/"  # as simulation/ab_test/experiment.py names them
        return interval(self.metrics, f"{prefix}{name}/relative")


@dataclass(frozen=True, kw_only=True)
class AbEvidence:
    """`signals`: the test whose arms, and so those of the off-policy check, are named by the signals of their models;
    `ranked`: the test of the rankers behind the served one.
    """

    signals: AbTest
    ranked: AbTest
    off_policy: Metrics
    off_policy_arms: Sequence[str]
    off_policy_config: Mapping[str, Any]


def gather_ab(workdir: Path) -> AbEvidence | None:
    """Reads the folders of pipelines/ab_stages.py. Errors: DataError where a file is broken."""
    if not any((workdir / name / "metrics.json").exists() for name in FOLDERS):
        return None
    estimated = _json(workdir / OFF_POLICY / "config.json")
    return AbEvidence(
        signals=_test(workdir / AB_TEST),
        ranked=_test(workdir / AB_RANKED),
        off_policy=_json(workdir / OFF_POLICY / "metrics.json"),
        off_policy_arms=_arms(estimated),
        off_policy_config=estimated.get("config", {}),
    )


def flat_ab(evidence: AbEvidence | None) -> dict[str, float]:
    """Every number under one flat name: `ab_test/dislike_rate/relative`, `ab_ranked/true_satisfaction/relative`,
    `off_policy/<arm>/dislike/dr`.
    """
    if evidence is None:
        return {}
    parts = {AB_TEST: evidence.signals.metrics, AB_RANKED: evidence.ranked.metrics, OFF_POLICY: evidence.off_policy}
    return {f"{part}/{name}": value for part, metrics in parts.items() for name, value in metrics.items()}


def _test(folder: Path) -> AbTest:
    run_of = _json(folder / "config.json")
    return AbTest(
        arms=_arms(run_of),
        config=run_of.get("config", {}),
        metrics=_json(folder / "metrics.json"),
        definitions=_json(folder / "definitions.json"),
        by_day=_json(folder / "by_day.json"),
        long_run=_json(folder / "long_run.json"),
    )


def _arms(run_of: Mapping[str, Any]) -> list[str]:
    # In the order of the command line, which files of figures, sorted by name, have lost.
    return [name for name, _ in run_of.get("arms", [])]


def _json(path: Path) -> Any:
    return read_json(path) if path.exists() else {}
