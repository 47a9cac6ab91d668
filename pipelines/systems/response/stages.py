"""The stages that look closer at how the served model responds: the experiments of configs/counterfactual.py.

    export/<served>, export/<reference>, [ranking/export] -> responsiveness/<experiment>/<model>

A pipeline's config says which: `experiments`, {experiment: models}, models being `served`, `reference`, the same model
without negative labels, and `paper_tower`, the same without memory and without what is counted. `ranked` is the paper's
experiment on slates that the ranker has put in order, `replayed` on users of the log, each of whom comes to the last
event by all that was before it. Of the served model similarity is also judged by the item vectors of the reference,
which are another model's.
"""

from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from pipelines.graph.stage import Stage
from pipelines.systems.feed.stages import LOG, TIMELINES
from pipelines.systems.ranking.stages import FULL, exported_ranker
from pipelines.systems.retrieval.served import Exported, chosen, exported, reference, served

FOLDER = "responsiveness"
RANKED, REPLAYED = "ranked", "replayed"
SERVED, REFERENCE, PAPER_TOWER = MODELS = "served", "reference", "paper_tower"


def signals(config: Mapping[str, Any], model: str) -> str:
    """The signals of the served model, of its reference, or of the paper's tower with the same labels."""
    serve = config["serve"]
    return {SERVED: serve, REFERENCE: config["sweeps"][serve]["reference"], PAPER_TOWER: f"{serve}_{PAPER_TOWER}"}[
        model
    ]


def config_name(experiment: str, counterfactual: str) -> str:
    """The config of this experiment, where `counterfactual` is what a pipeline's other simulations have: a size, and
    maybe an experiment, which those that are the paper's have in its place.
    """
    size, _, usual = counterfactual.partition(",")
    own = usual or "paper" if experiment in (RANKED, REPLAYED) else experiment
    return f"configs/counterfactual.py:{size},{own}"


def stages(config: ConfigDict) -> list[Stage]:
    """One stage for each experiment and model; the ranked one only where the pipeline has a ranker."""
    if not (config.experiments and (held_against := reference(config))):
        return []
    models = {SERVED: served(config), REFERENCE: exported(held_against)}
    if signals(config, PAPER_TOWER) in config.sweeps:
        models[PAPER_TOWER] = chosen(config, signals(config, PAPER_TOWER))
    return [
        _stage(experiment, name, models, config)
        for experiment, names in config.experiments.items()
        if experiment != RANKED or config.ranking
        for name in names
        if name in models
    ]


def _stage(experiment: str, name: str, models: Mapping[str, Exported], config: ConfigDict) -> Stage:
    model, other = models[name], models[REFERENCE]
    flags: dict[str, Any] = {"recommender": model.recommender}
    inputs = [*model.made_from, model.recommender / "manifest.json"]
    if name == SERVED:
        flags["similarity_vectors"] = other.recommender
        inputs += other.made_from
    if experiment == RANKED:
        ranker, asked = exported_ranker(FULL), config.ranked
        flags |= {"ranker": ranker, "candidates": asked.candidates, "config.users": asked.users}
        inputs.append(ranker / "manifest.json")
    if experiment == REPLAYED:
        flags["data"] = TIMELINES
        inputs.append(LOG)
    return Stage(
        name=f"{FOLDER}/{experiment}/{name}",
        module="simulation.counterfactual",
        config=config_name(experiment, config.counterfactual),
        flags=flags,
        inputs=tuple(dict.fromkeys(inputs)),
        aim="how the served model responds to more than one no",
        effort=0.4,
    )
