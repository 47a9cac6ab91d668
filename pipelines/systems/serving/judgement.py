"""Judges the model that a pipeline is to serve, by the limits in its config."""

from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from pipelines.graph.stage import PIPELINE
from pipelines.systems.retrieval.served import exported, reference
from pipelines.systems.retrieval.stages import SELECTED, Variant, has_final
from pipelines.systems.serving.stages import VERDICT
from runtime.artifact import read_json, write_json
from runtime.errors import UsageError
from simulation.counterfactual.gate import Gate, numbers
from simulation.exported.recommender import load


def judge(workdir: Path) -> dict[str, Any]:
    """Judges by `gate` of the pipeline run in `workdir`, writes gate/ and returns the verdict, the `model` in it.

    Errors: UsageError where the pipeline has no gate; those of simulation.counterfactual.gate.
    """
    config = ConfigDict(read_json(workdir / PIPELINE))
    if not config.gate:
        raise UsageError(f"--workdir={workdir}: the pipeline '{config.name}' has no gate; see configs/pipeline.py")
    model, against = _model(config, workdir), reference(config)
    if against is None:
        raise UsageError(f"--workdir={workdir}: '{config.serve}' is held up against no other model; leave the gate out")
    limits = config.gate.to_dict()
    recalls = [str(workdir / "test" / variant.name / "metrics.json") for variant in (model, against)]
    if limits.get("max_recall_loss") is not None:
        limits |= dict(zip(("evaluation", "reference"), recalls, strict=True))
    gate = Gate(**limits)
    gate.check()
    simulated = workdir / "counterfactual" / model.name
    verdict = gate.judge(
        read_json(simulated / "metrics.json"),
        branch=read_json(simulated / "config.json")["config"]["branches"][0],
        recommender=load(workdir / exported(model).recommender),
    )
    verdict |= {"model": model.name, "against": against.name}
    file = workdir / VERDICT
    file.parent.mkdir(exist_ok=True)
    write_json(file, verdict)
    write_json(file.with_name("metrics.json"), numbers(verdict))
    return verdict


def _model(config: ConfigDict, workdir: Path) -> Variant:
    if has_final(config, config.serve):
        return Variant(signals=config.serve, final=True)
    selected = read_json(workdir / SELECTED)
    return Variant(signals=config.serve, weight=selected[f"{config.serve}/negative_weight"])
