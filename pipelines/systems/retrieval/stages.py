"""The stages of retrieval: every model of the pipeline, the choice of the weights, the final models.

    prepare -> train/<variant> -> validate/<variant> -> select -> [train/<signals>-final]
                               -> test/<variant>
                               -> export/<variant> -> counterfactual/<variant>

A variant is a config of the paper and, where it has negative labels, one of the weights of the sweep:
`dislike_input`, `dislike_input_and_label-w300`. The validation days choose epochs and weights; the final variants are
then trained again, with what was chosen, on the validation days too: nothing is served that has not seen them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ml_collections import ConfigDict

from pipelines.graph.stage import Stage
from pipelines.systems.feed.stages import LOG, TIMELINES

SELECTED = Path("selected/metrics.json")
RECOMMENDER = ("metrics.json", "recommender/manifest.json")  # what retrieval.export writes


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A model of the pipeline: what it reads and learns from, and how much its negative labels weigh.

    A final one is trained again with the epochs and the weight that the validation days chose, on these days too.
    """

    signals: str
    weight: float | None = None
    final: bool = False

    @property
    def name(self) -> str:
        if self.final:
            return f"{self.signals}-final"
        return self.signals if self.weight is None else f"{self.signals}-w{self.weight:g}"


def variants(config: ConfigDict) -> list[Variant]:
    """The models that a pipeline trains: those without negative labels, sweeps from light to heavy, the final ones."""
    plain = [Variant(signals=signals) for signals in config.plain]
    swept = [Variant(signals=s, weight=w) for s, sweep in config.sweeps.items() for w in sorted(sweep.weights)]
    final = [Variant(signals=signals, final=True) for signals in (*config.plain, *config.sweeps) if config.final]
    return plain + swept + final


def stages(config: ConfigDict) -> list[Stage]:
    """From timelines to exported recommenders that have been measured."""
    found = [stage for variant in variants(config) for stage in _of(variant, config)]
    # Responses come last: one may be judged by the export of a model after it.
    models, responses = ([s for s in found if s.name.startswith("counterfactual/") == last] for last in (False, True))
    validated = [stage.outputs[0] for stage in models if stage.name.startswith("validate/")]
    settings = config.to_dict()
    select = Stage(name="select", module="pipelines.choose", settings=settings, place="selected", inputs=(*validated,))
    first, final = ([s for s in models if s.name.endswith("-final") == is_final] for is_final in (False, True))
    return [*first, select, *final, *responses]


def _of(variant: Variant, config: ConfigDict) -> Iterator[Stage]:
    name, retrieval = variant.name, f"configs/retrieval.py:{config.retrieval},{variant.signals}"
    chosen = SELECTED.parent if variant.signals in config.sweeps else Path("train")
    refit = chosen / variant.signals if variant.final else None
    train = Stage(
        name=f"train/{name}",
        module="retrieval.train",
        config="" if refit else retrieval,
        flags={"config.negative_weight": variant.weight, "refit": refit, "data": TIMELINES},
        inputs=(LOG, *([refit / "metrics.json"] if refit else [])),
    )
    yield train
    on_model = {"data": TIMELINES, "checkpoint": train.folder}
    after = (*train.inputs, *train.outputs)
    # The baselines are the same beside every model: they are measured once, on the test days. The validation days say
    # nothing about a model that has learned from them.
    first = variant == variants(config)[0]
    for stage, split, alone in (("validate", "valid", True), ("test", "test", not first)):
        if not (refit and split == "valid"):
            yield Stage(
                name=f"{stage}/{name}",
                module="retrieval.evaluate",
                config=retrieval,
                flags={**on_model, "split": split, "baselines": False if alone else None},
                inputs=after,
                writes=("metrics.json", "per_user.npz"),
            )
    export = Stage(
        name=f"export/{name}",
        module="retrieval.export",
        config=retrieval,
        flags={**on_model, "serving": False},
        inputs=after,
        writes=RECOMMENDER,
    )
    yield export
    judge = None
    if config.judged_by_vectors:
        another = next(signals for signals in config.plain if signals != variant.signals)
        judge = Path("export") / Variant(signals=another, final=variant.final).name / "recommender"
    yield Stage(
        name=f"counterfactual/{name}",
        module="simulation.counterfactual",
        config=f"configs/counterfactual.py:{config.counterfactual}",
        flags={"recommender": export.folder / "recommender", "similarity_vectors": judge},
        inputs=(*export.outputs, *([judge / "manifest.json"] if judge else [])),
    )
