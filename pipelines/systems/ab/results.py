"""Reads the results of an A/B test or of the off-policy check from a run folder."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.report.intervals import Metrics, Point, interval
from pipelines.report.run_folder import Run


class Test:
    """One test, or off-policy check; empty where it has not been run. `arms` have the control first."""

    __test__ = False  # not one of pytest's

    def __init__(self, run: Run, stage: str, *, shown: bool = True) -> None:
        def read(name: str) -> dict[str, Any]:
            return run.json(f"{stage}/{name}.json", {}) if shown else {}

        of = read("config")
        self.stage, self.config = stage, of.get("config", {})
        self.metrics: Metrics = read("metrics")
        # In the order of the command line, which files of figures, sorted by name, have lost.
        self.arms: Sequence[str] = [name for name, _ in of.get("arms", [])]
        # metric -> title, formula, words, better
        self.definitions: Mapping[str, Mapping[str, Any]] = read("definitions")
        # arm -> metric -> value, low, high by day
        self.by_day: Mapping[str, Mapping[str, Mapping[str, list]]] = read("by_day")
        # arm -> exposure group -> bins and slope
        self.long_run: Mapping[str, Any] = read("long_run")

    @property
    def control(self) -> str:
        return self.arms[0] if self.arms else ""

    @property
    def treated(self) -> Sequence[str]:
        """All arms but the control."""
        return self.arms[1:]

    def change(self, arm: str, name: str) -> Point | None:
        """The relative change of `<metric>` or `group/<group>/<metric>` from the control to this arm."""
        prefix = "" if arm == self.arms[1] else f"{arm}/"  # as simulation/ab_test names them
        return interval(self.metrics, f"{prefix}{name}/relative")
