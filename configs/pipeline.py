"""What a pipeline run is made of: the data, the models, the weights of the sweep, and how one weight is chosen.

    python -m pipelines.run --config=configs/pipeline.py:demo --workdir=runs/demo

Names: `demo` and `standard` (synthetic feeds), `demo_sticky` and `standard_sticky` (the same, stickier: see
configs/world.py), `kuairand_pure` and `kuairand_pure_short` (real logs, with --data), `tables` (your own logs as
canonical tables, with --data), `tiny` (seconds, for tests), and every other dataset of data/readers/, with --data, as
`tables`.
"""

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from data import readers

_RANKED = ("standard", "kuairand_pure", "kuairand_pure_short", "tables", "tiny")  # the pipelines that have a ranker
_SATISFIED = ("standard", "kuairand_pure", "kuairand_pure_short", "tiny")  # ... and a satisfaction model
_FEW_DISLIKES = 0.002  # of all events: KuaiRand has 0.0009


def get_config(name: str = "demo") -> ConfigDict:
    """The pipeline called `name`; weights are comparable only within one corpus (see configs/retrieval.py)."""
    synthetic = {"demo", "standard", "tiny"}
    learned, on_paper_tower = "dislike_input_and_label", "dislike_input_and_label_paper_tower"
    heavy = (300.0, 1000.0, 3000.0)
    # One weight is enough to see what the paper's own tower does with dislikes; `standard` has every one.
    weights: dict[str, dict[str, tuple[float, ...]]] = {
        "demo": {learned: (300.0, 1000.0), on_paper_tower: (1000.0,), "skip_label": (100.0,)},
        "standard": {learned: heavy, on_paper_tower: heavy, "skip_label": (30.0, 100.0, 300.0)},
        "kuairand_pure": {"skip_label": (50.0, 100.0, 125.0, 150.0, 200.0)},
        "kuairand_pure_short": {"skip_label": (50.0,)},
        "tables": {learned: (100.0, 300.0, 1000.0), on_paper_tower: (1000.0,), "skip_label": (25.0, 50.0, 100.0)},
        "tiny": {learned: (100.0,), on_paper_tower: (100.0,)},
        "demo_sticky": {learned: heavy, on_paper_tower: (1000.0,)},
        "standard_sticky": {learned: heavy, on_paper_tower: heavy},
    }
    dataset = name.removesuffix("_sticky")
    if name not in weights and name not in readers.datasets():
        there_are = ", ".join(sorted({*weights, *readers.datasets()}))
        raise ValueError(f"no pipeline '{name}'; there are {there_are}")
    log = readers.named(dataset)
    has_few_dislikes = log.traits is not None and log.traits.feedback.get("dislike", 0.0) < _FEW_DISLIKES
    config = ConfigDict()
    config.name = name
    name = name if name in weights else "tables"  # whose choices are those of any log that is not known better
    config.world = (
        name.replace("_sticky", ",sticky") if dataset in synthetic else ""
    )  # "": the logs are the user's, named by --data
    config.data = "tables" if dataset in synthetic else log.name
    config.retrieval = dataset
    config.counterfactual = "tiny" if name == "tiny" else "standard"
    # Models without negative labels; each sweep is held up against the one of its own tower, its `reference`.
    reads = ("dislike_input", "dislike_input_paper_tower")
    config.plain = reads if has_few_dislikes else ("no_dislike_signal", *reads)
    references = {on_paper_tower: "dislike_input_paper_tower"}
    config.sweeps = {
        signals: {"weights": sweep, "reference": references.get(signals, "dislike_input")}
        for signals, sweep in weights[name].items()
    }
    # The rule of the choice, on validation days: the largest weight that keeps this share of the reference's
    # Recall@100, and the smallest weight where none does.
    config.keep_recall = 0.97 if dataset in synthetic else 0.98
    # Train once more, with what the validation days chose, on these days too, and serve that.
    config.final = name in ("kuairand_pure", "tables", "tiny")
    # The other systems, by the name of their config, "" for none (BUILD.md says what each takes). Simulation in closed
    # loop needs a synthetic feed, off-policy estimates need a log with random exposures.
    config.ranking = dataset if name in _RANKED else ""
    config.satisfaction = dataset if name in _SATISFIED else ""
    small = name in ("tiny", "kuairand_pure_short")
    config.ranking_variants = ("mlp",) if small else ("no_feedback_encoder",)
    if name == "kuairand_pure":
        alone = ("single_task_EVV", "single_task_FVV", "single_task_GVV")
        config.ranking_variants = ("no_feedback_encoder", "shared_bottom", *alone, "mlp")
    # Trainings of each ranker, by seed: the intervals of what one row has more than another are over users and seeds.
    # A pipeline of one has intervals over users alone.
    config.ranking_seeds = {"kuairand_pure": 3, "tiny": 2}.get(name, 1)
    # `time` has the scores that a ranker learns from; `leave_one_out` is the paper's, for real logs.
    config.satisfaction_protocols = ("leave_one_out", "time") if name == "kuairand_pure" else ("time",)
    # What satisfaction.ablate trains beside the first of these protocols' full model, {} for nothing: its --what,
    # --click_losses, --seeds and --refit. A training of `kuairand_pure` takes two minutes of two cores, refit as much.
    config.satisfaction_ablations = {
        "kuairand_pure": {"what": ("ablations",), "click_losses": ("exact", "bce"), "seeds": 1, "refit": False},
        "tiny": {"what": ("no_unbiased",), "click_losses": ("exact",), "seeds": 1, "refit": False},
    }.get(name, {})
    # A second ranker, aligned with the satisfaction model's scores: what satisfaction counts where its γ is chosen,
    # beside NDCG@10 of long views and skips, 0 for no such ranker. The weight is that of the demo feed's experiments
    # (benchmarks/README.md).
    config.satisfaction_weight = 2.0 if name in ("standard", "tiny") else 0.0
    config.ab_test = dataset if name in ("standard", "tiny") else ""
    # A second A/B test, of what stands behind the served retrieval: the ranker, the control, the aligned one, none.
    config.ab_ranked = config.ab_test
    config.off_policy = "tiny" if name == "tiny" else "standard" if name == "standard" else ""
    # Whether similarity is also judged by the item vectors of another model, one without negative labels: logs may know
    # neither cluster nor creator of their items, and then nothing else says what is alike.
    config.judged_by_vectors = not (log.traits and log.traits.creators and log.traits.clusters)
    # A closer look at how the served model responds, its reference, and the paper's tower: experiments of
    # configs/counterfactual.py, and `ranked`, on slates that the ranker has put in order: of fewer users, as that takes
    # its time for each of them.
    closer = ("in_a_row", "memory", "elsewhere", "undo", "forgetting")
    everything = (*closer, "sweeps", "ranked")
    config.experiments = dict.fromkeys(everything if name in ("standard", "tiny") else (), ("served",))
    if name == "standard":
        config.experiments.update(dict.fromkeys(closer, ("served", "reference", "paper_tower")))
        config.experiments.forgetting_state = ("served",)
    if name in ("demo", "tiny"):
        config.experiments.elsewhere = ("served", "paper_tower")
    config.ranked = {"users": 50, "candidates": 20} if name == "tiny" else {"users": 250, "candidates": 200}
    # The gate before what is served, {} for none: exit status 4 where one dislike changes similarity by less than
    # `min_responsiveness`, or where more than `max_recall_loss` of the reference's Recall@100 is lost on the test days.
    # `standard`: half of the similar items gone, and a loss with room beside `keep_recall`, as other days differ.
    # `demo` has a third of its log, and room for what another seed may bring. `tiny` learns too little to be asked for
    # the former. Real logs have none: what to ask for is for whoever runs the feed, and KuaiRand has too few dislikes.
    config.gate = {
        "standard": {"min_responsiveness": -0.5, "max_recall_loss": 0.05},
        "demo": {"min_responsiveness": -0.4, "max_recall_loss": 0.1},
        "tiny": {"min_responsiveness": placeholder(float), "max_recall_loss": 0.9},
    }.get(name, {})
    # The model that gets an index and SavedModels. KuaiRand has too few dislikes to learn from, but has skips.
    config.serve = "skip_label" if has_few_dislikes else "dislike_input_and_label"
    # The arms of the A/B test by their signals: the control, blind to dislikes where there is such a model, the served
    # model, whose changes `ab_test/<metric>/relative` are, and whatever else is trained. Off-policy estimates are of
    # the first two. And A/A tests: whole tests of new people with the control in both arms.
    others = [signals for signals in (*config.plain[1:], *config.sweeps) if signals != config.serve]
    config.ab_arms = (config.plain[0], config.serve, *others)
    config.aa_tests = 3 if name == "tiny" else 50
    return config
