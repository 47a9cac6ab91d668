"""What a pipeline run is made of: the data, the models, the weights of the sweep, and how one weight is chosen.

    python -m pipelines.run --config=configs/pipeline.py:demo --workdir=runs/demo
    python -m pipelines.run --config=configs/pipeline.py:tables --data=DIR --workdir=runs/mine

The names are those of data/readers/: `tables` for your own logs, the synthetic feeds `demo`, `standard` and `tiny`,
which are made and need no --data, and the public logs. A dataset has what stands here for any log, and beside it what
its reader says under "pipeline". NAME_full has every weight and every comparison besides, NAME_short tiny models that
see every stage run. The synthetic feeds have variants (configs/world.py), which a reader says under "pipeline_VARIANT":
`demo_sticky`, `demo_latent`, `demo_latent_rare`, and so of `standard`.

What the prepared log cannot carry is left out after `prepare`, and said: nothing here asks what a log has.

Settings of the stages are in `stages`, by the names that they have in the configs of the stages themselves:

    --config.stages.prepare.valid_start=2026-05-03      configs/data.py
    --config.stages.retrieval.num_epochs=3              configs/retrieval.py
    --config.stages.counterfactual.slate_size=50        configs/counterfactual.py

and likewise `world`, `ranking`, `satisfaction`, `ab_test` and `off_policy`. What nobody sets is as those files say.
"""

from typing import Any

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from configs import ab_test, counterfactual, data, off_policy, ranking, retrieval, satisfaction, world
from data import readers

_FULL = "_full"
_BLIND, _READS, _LEARNS, _SKIPS = "no_dislike_signal", "dislike_input", "dislike_input_and_label", "skip_label"
_AMONG, _PAPER, _WITHOUT_COUNTS = "softmax_negatives", "_paper_tower", "_without_counts"

# What any log gets: weights are comparable only within one corpus (configs/retrieval.py).
_ANY: dict[str, Any] = {
    "world": "",  # the feed that is made, of configs/world.py; "": the logs are the user's, named by --data
    # Models without negative labels, and signals -> weights of those with them. Each of the latter is held up against
    # the model without negative labels of its own kind, its `reference`, "" where there is none.
    "plain": (_READS,),
    "weights": {_LEARNS: (300.0, 1000.0)},
    # What comes in their place, and with which weights, where a log has too few of the noes that they learn from: the
    # first that it carries. Rare dislikes teach more among the softmax negatives of what was liked beside them.
    "stand_in": ((_AMONG, (1000.0, 10000.0)), (_SKIPS, (50.0,))),
    # The rule of the choice, on validation days: the largest weight that keeps this share of the reference's
    # Recall@100, and the smallest weight where none does.
    "keep_recall": 0.98,
    # The same share among those who had said no before, who pay for what is heard of it: where they are few, no weight
    # moves the figure over all. 0: no limit.
    "keep_recall_said_no": 0.0,
    # Train once more, with what the validation days chose, on these days too, and serve that: what is served and its
    # reference, or with `final_all` every model.
    "final": True,
    "final_all": False,
    # Which systems there are beside retrieval: ranking, satisfaction, ab_test, off_policy.
    "systems": ("ranking",),
    "ranking_variants": (),  # beside the ranker itself
    # Trainings of each ranker, by seed: the intervals of what one row has more than another are over users and seeds.
    # A pipeline of one has intervals over users alone.
    "ranking_seeds": 1,
    # Whether LightGBM stands beside the ranker on the test days.
    "lightgbm": True,
    # `time` has the scores that a ranker learns from; `leave_one_out` is the paper's, for real logs.
    "satisfaction_protocols": ("time",),
    # What satisfaction.ablate trains beside the first of these protocols' full model, {} for nothing: its --what,
    # --click_losses, --seeds and --refit.
    "satisfaction_ablations": {},
    # A second ranker, aligned with the satisfaction model's scores: what satisfaction counts where its γ is chosen,
    # beside NDCG@10 and skips, 0 for no such ranker. A weight of 2 is that of the demo feed's experiments
    # (benchmarks/README.md).
    "satisfaction_weight": 0.0,
    "counterfactual": "standard",  # its size in configs/counterfactual.py
    "off_policy": "standard",  # and that in configs/off_policy.py
    # A closer look at how the served model responds, its reference, and the paper's tower: experiments of
    # configs/counterfactual.py; `replayed`, on users of the log, each at the last event; and `ranked`, on slates that
    # the ranker has put in order: of fewer users, as that takes its time for each of them.
    "experiments": {},
    "ranked": {"users": 250, "candidates": 200},
    # The gate before what is served, {} for none: exit status 4 where one dislike changes similarity by less than
    # `min_responsiveness`, or where more than `max_recall_loss` of the reference's Recall@100 is lost on the test days.
    # Real logs have none: what to ask for is for whoever runs the feed.
    "gate": {},
    "aa_tests": 50,  # whole tests of new people with the control in both arms
}
# What NAME_full has beside what its reader says: a few hours of two cores on a log of some hundred thousand events.
_EVERYTHING: dict[str, Any] = {
    "plain": (_BLIND, _READS, _READS + _PAPER),
    "weights": {_LEARNS: (100.0, 300.0, 1000.0), _LEARNS + _PAPER: (1000.0,), _SKIPS: (25.0, 50.0, 100.0)},
    "final_all": True,
    "ranking_variants": ("no_feedback_encoder",),
}
# What NAME_short has instead, and the lightest weight of each sweep.
_SHORT: dict[str, Any] = {
    "final": False,
    "ranking_variants": ("mlp",),
    "ranking_seeds": 1,
    "satisfaction_protocols": ("time",),
    "satisfaction_ablations": {},
    "counterfactual": "tiny",
}


def _reference(signals: str) -> str:
    if signals.endswith(_WITHOUT_COUNTS):
        return ""
    return _READS + _PAPER if signals.endswith(_PAPER) else _READS


def get_config(name: str = "demo") -> ConfigDict:
    """The pipeline called `name`."""
    known, short = _pipelines(), name.removesuffix(_FULL).endswith(readers.SHORT)
    asked = name.removesuffix(_FULL).removesuffix(readers.SHORT)
    if asked not in known:
        raise ValueError(
            f"no pipeline '{name}'; there are {', '.join(sorted(known))}, each also with {_FULL} or {readers.SHORT}"
        )
    feed, kind = known[asked]
    dataset = feed + readers.SHORT if short else feed
    log = readers.named(dataset)
    of_log = log.of_stage(kind)
    if unknown := sorted({*of_log} - {*_ANY}):
        raise ValueError(f"{dataset}: its reader sets {', '.join(unknown)}; a pipeline has {', '.join(_ANY)}")
    wanted = {**_ANY, **of_log}
    own = wanted["weights"]
    if name.endswith(_FULL):
        wanted = _with_everything(wanted)
    if short:
        lightest = {signals: weights[:1] for signals, weights in wanted["weights"].items()}
        wanted |= {**_SHORT, "weights": lightest}
    weights, systems = wanted.pop("weights"), wanted.pop("systems")

    if wanted["gate"]:
        wanted["gate"] = {"min_responsiveness": placeholder(float), "max_recall_loss": placeholder(float)}
    config = ConfigDict(wanted)
    config.gate.update(of_log.get("gate", {}))
    config.name = name
    config.data = "tables" if config.world else log.name
    config.retrieval = dataset
    config.sweeps = {
        signals: {"weights": sweep, "reference": _reference(signals)} for signals, sweep in weights.items()
    }
    # The other systems, by the name of their config, "" for none (BUILD.md says what each takes). A/B tests need a
    # synthetic feed, off-policy estimates a log with random exposures.
    config.ranking, config.satisfaction = (
        dataset if system in systems else "" for system in ("ranking", "satisfaction")
    )
    config.ab_test = feed if "ab_test" in systems else ""
    # A second A/B test, of what stands behind the served retrieval: the ranker, the control, the aligned one, none.
    config.ab_ranked = config.ab_test
    config.off_policy = wanted["off_policy"] if "off_policy" in systems else ""
    # The model that gets an index and SavedModels.
    config.serve = _LEARNS if _LEARNS in own else next(iter(own))
    # Whether similarity is also judged by the item vectors of another model, one without negative labels where there is
    # one: logs may know neither cluster nor creator of their items, and then nothing else says what is alike.
    config.judged_by_vectors = not (log.traits and log.traits.creators and log.traits.clusters)
    # And by the truth of a feed whose labels say only in part what people are averse to.
    config.judged_by_truth = ",latent" in config.world
    # The arms of the A/B test by their signals: the control, blind to dislikes where there is such a model, the served
    # model, whose changes `ab_test/<metric>/relative` are, and whatever else is trained. Off-policy estimates are of
    # the first two.
    others = [signals for signals in (*config.plain[1:], *config.sweeps) if signals != config.serve]
    config.ab_arms = (config.plain[0], config.serve, *others)
    config.stages = _stages(config, dataset, feed)
    return config


def _with_everything(wanted: dict[str, Any]) -> dict[str, Any]:
    """These settings and _EVERYTHING: of lists of models the two together, of what is no list the latter."""
    sweeps = (wanted["weights"], _EVERYTHING["weights"])
    signals = dict.fromkeys(name for weights in sweeps for name in weights)
    return {
        **wanted,
        **_EVERYTHING,
        "weights": {name: tuple(sorted({w for of in sweeps for w in of.get(name, ())})) for name in signals},
        **{name: tuple(dict.fromkeys((*_EVERYTHING[name], *wanted[name]))) for name in ("plain", "ranking_variants")},
    }


def _pipelines() -> dict[str, tuple[str, str]]:
    """Name of a pipeline -> its dataset, and under which of its settings the pipeline stands."""
    return {
        dataset + kind.removeprefix("pipeline"): (dataset, kind)
        for dataset, log in readers.datasets().items()
        for kind in ("pipeline", *(kind for kind in log.settings if kind.startswith("pipeline_")))
    }


def _stages(config: ConfigDict, dataset: str, feed: str) -> ConfigDict:
    """Every setting of the stages, none of them set, each of the type that it has in their own config."""
    of = {
        "prepare": data.get_config(config.data),
        "retrieval": retrieval.get_config(dataset),
        "ranking": ranking.get_config(dataset),
        "satisfaction": satisfaction.get_config(dataset),
        "counterfactual": counterfactual.get_config(config.counterfactual),
        "off_policy": off_policy.get_config(),
    }
    if config.world:
        of |= {"world": world.get_config(config.world), "ab_test": ab_test.get_config(feed)}
    found = ConfigDict({stage: _unset(settings) for stage, settings in of.items()})
    # Flags of data.prepare that say how it reads, and that no config has.
    found.prepare.update({"quarantine": placeholder(bool), "max_quarantine": placeholder(str)})
    return found


def _unset(settings: ConfigDict) -> dict[str, Any]:
    return {
        name: _unset(value) if isinstance(value, ConfigDict) else placeholder(settings.get_type(name))
        for name, value in settings.items()
    }
