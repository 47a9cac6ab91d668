"""The stages of retrieval: every model of the pipeline, the choice of the weights, the final models.

    prepare -> train/<variant> -> validate/<variant> -> select -> [train/<signals>-final]
                               -> test/<variant>
                               -> export/<variant> -> counterfactual/<variant>

A variant is a config of the paper and, where it has negative labels, one of the weights of the sweep:
`dislike_input`, `dislike_input_and_label-w300`. The validation days choose epochs and weights; the final variants are
then trained again, with what was chosen, on the validation days too: nothing is served that has not seen them.
"""

from dataclasses import dataclass
from pathlib import Path

from ml_collections import ConfigDict

from pipelines.stage import PIPELINE, Stage


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


def retrieval_stages(config: ConfigDict, workdir: Path, timelines: Path) -> list[Stage]:
    """From timelines to exported recommenders that have been measured."""
    models, final = (
        [
            stage
            for n, variant in enumerate(variants(config))
            if variant.final == is_final
            for stage in _model_stages(variant, config, workdir, timelines, first=n == 0)
        ]
        for is_final in (False, True)
    )
    models, final = (sorted(found, key=_is_counterfactual) for found in (models, final))
    select = Stage(
        name="select",
        module="pipelines.choose",
        folder=workdir,
        inputs=(workdir / PIPELINE, *(s.outputs[0] for s in models if s.name.startswith("validate/"))),
        outputs=(workdir / "selected" / "metrics.json",),
        keeps_folder=True,
    )
    return [*models, select, *final]


def _is_counterfactual(stage: Stage) -> bool:
    # They come last: one may be judged by the export of a model after it.
    return stage.name.startswith("counterfactual/")


def _model_stages(variant: Variant, config: ConfigDict, workdir: Path, timelines: Path, *, first: bool) -> list[Stage]:
    name = variant.name
    retrieval = f"configs/retrieval.py:{config.retrieval},{variant.signals}"
    weight = () if variant.weight is None else (f"--config.negative_weight={variant.weight:g}",)
    first_trained = workdir / ("selected" if variant.signals in config.sweeps else "train") / variant.signals
    refit = first_trained / "metrics.json" if variant.final else None
    train = Stage(
        name=f"train/{name}",
        module="retrieval.train",
        folder=workdir / "train" / name,
        config="" if refit else retrieval,
        flags=(*weight, *([f"--refit={first_trained}"] if refit else []), f"--data={timelines}"),
        inputs=(timelines / "manifest.json", *([refit] if refit else [])),
        outputs=(workdir / "train" / name / "metrics.json",),
    )
    on_model = (f"--data={timelines}", f"--checkpoint={train.folder}")
    # The baselines are the same beside every model: they are measured once, on the test days.
    validate, test = (
        Stage(
            name=f"{stage}/{name}",
            module="retrieval.evaluate",
            folder=workdir / stage / name,
            config=retrieval,
            flags=(*on_model, f"--split={split}", *([] if baselines else ["--nobaselines"])),
            inputs=(*train.inputs, *train.outputs),
            outputs=(workdir / stage / name / "metrics.json", workdir / stage / name / "per_user.npz"),
        )
        for stage, split, baselines in (("validate", "valid", False), ("test", "test", first))
    )
    recommender = workdir / "export" / name / "recommender"
    export = Stage(
        name=f"export/{name}",
        module="retrieval.export",
        folder=workdir / "export" / name,
        config=retrieval,
        flags=(*on_model, "--noserving"),
        inputs=(*train.inputs, *train.outputs),
        outputs=(workdir / "export" / name / "metrics.json", recommender / "manifest.json"),
    )
    judge: list[Path] = []
    if config.judged_by_vectors:
        another = Variant(signals=next(s for s in config.plain if s != variant.signals), final=variant.final)
        judge.append(workdir / "export" / another.name / "recommender")
    counterfactual = Stage(
        name=f"counterfactual/{name}",
        module="simulation.counterfactual",
        folder=workdir / "counterfactual" / name,
        config=f"configs/counterfactual.py:{config.counterfactual}",
        flags=(f"--recommender={recommender}", *(f"--similarity_vectors={folder}" for folder in judge)),
        inputs=(*export.outputs, *(folder / "manifest.json" for folder in judge)),
        outputs=(workdir / "counterfactual" / name / "metrics.json",),
    )
    # The validation days say nothing about a model that has learned from them.
    return [train, *([] if refit else [validate]), test, export, counterfactual]
