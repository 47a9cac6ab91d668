"""The stages of retrieval: every model of the pipeline, the choice of the weights, the final models.

    prepare -> train/<variant> -> validate/<variant> -> select -> [train/<signals>-final]
                               -> test/<variant>
                               -> export/<variant> -> counterfactual/<variant>
    prepare -> ceiling, on a synthetic feed

A variant is a config of the paper and, where it has negative labels, one of the weights of the sweep:
`dislike_input`, `dislike_input_and_label-w300`. The validation days choose epochs and weights; the final variants are
then trained again, with what was chosen, on the validation days too: nothing is served that has not seen them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from pipelines.graph.stage import Stage
from pipelines.systems.feed.stages import FEED, LOG, TIMELINES, WORLD

SELECTED = Path("selected/metrics.json")
CEILING = "ceiling"
RECOMMENDER = ("metrics.json", "recommender/manifest.json")  # what retrieval.export writes
_CHOICE = "models of what people like and turn down, and the choice among them on the validation days"
_FINAL = "the chosen models, trained once more on the validation days too"
_TEST = "what they recommend on the test days"
_EXPORT = "exports of them, to be asked by simulated people"
_RESPONSE = "how they respond to a no"


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
    final = [Variant(signals=signals, final=True) for signals in (*config.plain, *config.sweeps)]
    return plain + swept + [variant for variant in final if has_final(config, variant.signals)]


def has_final(config: ConfigDict, signals: str) -> bool:
    """Whether the model of these signals is trained once more: the served one, its reference, all with `final_all`."""
    sweep = config.sweeps.get(config.serve)
    return config.final and (config.final_all or signals in (config.serve, sweep.reference if sweep else config.serve))


def stages(config: ConfigDict) -> list[Stage]:
    """From timelines to exported recommenders that have been measured."""
    of_variants = [stage for variant in variants(config) for stage in _of(variant, config)]
    # Responses come last: one may be judged by the export of a model after it.
    models, responses = (
        [s for s in of_variants if s.name.startswith("counterfactual/") == last] for last in (False, True)
    )
    select = Stage(
        name="select",
        module="pipelines.choose",
        settings=settings_of_choice(config),
        place=SELECTED.parent.name,
        inputs=tuple(stage.outputs[0] for stage in models if stage.name.startswith("validate/")),
        aim=_CHOICE,
    )
    first, final = ([s for s in models if s.name.endswith("-final") == is_final] for is_final in (False, True))
    ceiling = [_ceiling(config)] if config.world else []
    return [*first, *([select] if config.sweeps else []), *final, *ceiling, *responses]


def settings_of_choice(config: ConfigDict) -> dict[str, Any]:
    """What of a pipeline's config says which models there are and which of them are chosen."""
    names = ("plain", "sweeps", "serve", "final", "final_all", "keep_recall", "keep_recall_said_no")
    return {name: value for name, value in config.to_dict().items() if name in names}


def _of(variant: Variant, config: ConfigDict) -> Iterator[Stage]:
    retrieval = f"configs/retrieval.py:{config.retrieval},{variant.signals}"
    chosen = SELECTED.parent if variant.signals in config.sweeps else Path("train")
    refit = chosen / variant.signals if variant.final else None
    train = Stage(
        name=f"train/{variant.name}",
        module="retrieval.train",
        config="" if refit else retrieval,
        flags={"config.negative_weight": variant.weight, "refit": refit, "data": TIMELINES},
        inputs=(LOG, *([refit / "metrics.json"] if refit else [])),
        aim=_FINAL if refit else _CHOICE,
        effort=1.0,
    )
    yield train
    # The validation days say nothing about a model that has learned from them. The baselines are the same beside every
    # model: they are measured once, on the test days.
    if not refit:
        yield evaluation("validate", "valid", retrieval, train)
    yield evaluation("test", "test", retrieval, train, baselines=variant == variants(config)[0])
    # Whoever serves a model takes it from its checkpoint: this export is for those who simulate people.
    exported = export(train, retrieval)
    if config.counterfactual or config.ab_test or config.off_policy:
        yield exported
    if config.counterfactual:
        judge = Path("export") / _another(variant, config).name / "recommender" if config.judged_by_vectors else None
        truth = WORLD if config.judged_by_truth else None
        yield counterfactual(exported, config.counterfactual, judge, truth)


def evaluation(stage: str, split: str, retrieval: str, train: Stage, *, baselines: bool = False) -> Stage:
    """A trained model on the days of `split`, and beside it, where asked for, the simple rules."""
    return Stage(
        name=train.name.replace("train", stage, 1),
        module="retrieval.evaluate",
        config=retrieval,
        flags={
            "data": TIMELINES,
            "checkpoint": train.folder,
            "split": split,
            "baselines": None if baselines else False,
        },
        inputs=(*train.inputs, *train.outputs),
        writes=("metrics.json", "per_user.npz"),
        aim=_TEST if split == "test" else _CHOICE,
    )


def _ceiling(config: ConfigDict) -> Stage:
    # What a feed that says what it will show, and people will like, would find itself on the test days.
    return Stage(
        name=CEILING,
        module="pipelines.retrieval_ceiling",
        config=f"configs/retrieval.py:{config.retrieval}",
        flags={"data": TIMELINES, "world": WORLD},
        inputs=(FEED, LOG),
        aim=_TEST,
    )


def export(train: Stage, retrieval: str) -> Stage:
    """A trained model for those who simulate people, who need neither index nor SavedModel."""
    return Stage(
        name=train.name.replace("train", "export", 1),
        module="retrieval.export",
        config=retrieval,
        flags={"data": TIMELINES, "checkpoint": train.folder, "serving": False, "counted_until": "test"},
        inputs=(*train.inputs, *train.outputs),
        writes=RECOMMENDER,
        aim=_EXPORT,
    )


def counterfactual(export: Stage, size: str, judge: Path | None = None, truth: Path | None = None) -> Stage:
    """How an exported model responds to a no; `judge` is another export, whose vectors say what is alike.

    And `truth` the feed, where labels say only in part what people are averse to.
    """
    return Stage(
        name=export.name.replace("export", "counterfactual", 1),
        module="simulation.counterfactual",
        config=f"configs/counterfactual.py:{size}",
        flags={"recommender": export.folder / "recommender", "similarity_vectors": judge, "truth": truth},
        inputs=(*export.outputs, *([judge / "manifest.json"] if judge else []), *([FEED] if truth else [])),
        aim=_RESPONSE,
    )


def _another(variant: Variant, config: ConfigDict) -> Variant:
    # Another model, whose vectors judge this one: without negative labels, where there is a second one such.
    lightest = [Variant(signals=signals, weight=min(sweep.weights)) for signals, sweep in config.sweeps.items()]
    others = [other for other in variants(config) if other.weight is None and other.signals in config.plain]
    alike = [other for other in others if other.final == variant.final]
    return next(other for other in (*alike, *others, *lightest) if other.signals != variant.signals)
