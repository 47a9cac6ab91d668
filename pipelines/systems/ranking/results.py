"""Reads the results of the ranking stages from a run folder."""

from typing import Any

from data.traits import Traits
from pipelines.report.intervals import Metrics
from pipelines.report.run_folder import Run, curves, prefixed
from pipelines.systems.feed.stages import LOG
from pipelines.systems.ranking.stages import ALIGNED_FOLDER, FOLDER, FULL, stages

_BASELINES = ("lightgbm", "popularity", "ceiling")


class Ranking:
    """The ranker's results. `test` and `validate` hold every row's figures, as ranking.evaluate names them."""

    def __init__(self, run: Run) -> None:
        names, train = sorted(stage.name for stage in stages(run.config)), f"{FOLDER}/train/"
        # Of each variant and seed, by the name of its folder.
        self.train = {name.removeprefix(train): run.metrics(name) for name in names if name.startswith(train)}
        self.curves = curves(run.workdir / FOLDER / "train" / FULL)
        self.validate, self.test = (run.metrics(f"{FOLDER}/{split}") for split in ("validate", "test"))
        self.reliability: dict[str, Any] = run.json(f"{FOLDER}/test/reliability.json", {})
        self.fusion: dict[str, Any] = run.json(f"{FOLDER}/test/curves.json", {})
        aligned = f"{FOLDER}/{ALIGNED_FOLDER}/validate"
        self.aligned = run.metrics(aligned)
        # task -> γ of the aligned ranker
        self.aligned_gamma = run.json(f"{aligned}/curves.json", {}).get("gamma", {}).get("model", {})
        gamma, config = self.fusion.get("gamma", {}), run.json(f"{FOLDER}/train/{FULL}/config.json", {})
        self.tasks = tuple(config.get("config", {}).get("tasks", gamma.get("model", ())))
        log = run.json(str(LOG), {})
        # What NDCG@10 of the fused list counts.
        self.wanted = Traits(**log["traits"]).wanted_feedback if log else ()
        # What the ranker was compared with on the test days, those without a network last.
        others = [name for name in gamma if name not in ("model", *_BASELINES)]
        self.rows = (*others, *(name for name in _BASELINES if name in gamma))

    def numbers(self) -> Metrics:
        """Every number under one flat name: `ranking/test/lightgbm/EVV/auc`."""
        parts = {f"train/{name}": train for name, train in self.train.items()}
        parts |= {"validate": self.validate, f"{ALIGNED_FOLDER}/validate": self.aligned, "test": self.test}
        return {name: n for part, metrics in parts.items() for name, n in prefixed(f"{FOLDER}/{part}", metrics).items()}
