"""What a pipeline run is made of: the data, the models, the weights of the sweep, and how one weight is chosen.

    python -m pipelines.run --config=configs/pipeline.py:demo --workdir=runs/demo

Names: `demo` and `standard` (synthetic feeds), `demo_sticky` and `standard_sticky` (the same, stickier: see
configs/world.py), `kuairand_pure` and `kuairand_pure_short` (real logs, with --data), `tables` (your own logs as
canonical tables, with --data), `tiny` (seconds, for tests).
"""

from ml_collections import ConfigDict

_RANKED = ("standard", "kuairand_pure", "tiny")  # the pipelines that have all three systems


def get_config(name: str = "demo") -> ConfigDict:
    """The pipeline called `name`; weights are comparable only within one corpus (see configs/retrieval.py)."""
    synthetic = {"demo", "standard", "tiny"}
    weights: dict[str, dict[str, tuple[float, ...]]] = {
        "demo": {"dislike_input_and_label": (300.0, 1000.0), "skip_label": (30.0,)},
        "standard": {"dislike_input_and_label": (300.0, 1000.0, 3000.0), "skip_label": (30.0,)},
        "kuairand_pure": {"skip_label": (50.0, 100.0, 150.0, 200.0)},
        "kuairand_pure_short": {"skip_label": (50.0,)},
        "tables": {"dislike_input_and_label": (100.0, 300.0, 1000.0), "skip_label": (25.0, 50.0, 100.0)},
        "tiny": {"dislike_input_and_label": (100.0,)},
    }
    weights |= {f"{size}_sticky": {"dislike_input_and_label": (300.0, 1000.0, 3000.0)} for size in ("demo", "standard")}
    if name not in weights:
        raise ValueError(f"no pipeline '{name}'; there are {', '.join(sorted(weights))}")
    dataset = name.removesuffix("_sticky")
    config = ConfigDict()
    config.name = name
    config.world = (
        name.replace("_sticky", ",sticky") if dataset in synthetic else ""
    )  # "": the logs are the user's, named by --data
    config.data = "tables" if dataset in synthetic else name.removesuffix("_short")
    config.retrieval = dataset
    config.counterfactual = "tiny" if name == "tiny" else "standard"
    # Models without negative labels; each sweep is held up against one of them, its `reference`.
    config.plain = ("dislike_input",) if name.startswith("kuairand") else ("no_dislike_signal", "dislike_input")
    config.sweeps = {
        signals: {"weights": sweep, "reference": "dislike_input"} for signals, sweep in weights[name].items()
    }
    # The rule of the choice, on validation days: the largest weight that keeps this share of the reference's
    # Recall@100, and the smallest weight where none does.
    config.keep_recall = 0.97 if dataset in synthetic else 0.98
    # Train once more, with what the validation days chose, on these days too, and serve that.
    config.final = name in ("kuairand_pure", "tables", "tiny")
    # The other systems, by the name of their config, "" for none (BUILD.md says what each takes). Simulation in closed
    # loop needs a synthetic feed, off-policy estimates need a log with random exposures.
    config.ranking = dataset if name in _RANKED else ""
    config.satisfaction = dataset if name in _RANKED else ""
    config.ranking_variants = ("mlp",) if name == "tiny" else ("no_feedback_encoder", "shared_bottom", "mlp")
    config.satisfaction_protocols = ("time",) if name == "tiny" else ("leave_one_out", "time")
    config.ab_test = dataset if name in ("standard", "tiny") else ""
    config.off_policy = "tiny" if name == "tiny" else "standard" if name == "standard" else ""
    # The gate before what is served: exit status 4 where a dislike leaves more of the similar items than this, or where
    # more of the reference's Recall@100 on the test days is lost; {} for none. Half is what the alternatives are judged
    # by, the loss leaves room beside `keep_recall` for other days. The demo's models have learned less; those of `tiny`
    # next to nothing. Real logs: set the limits that your feed needs, where it has dislikes enough to measure by.
    config.gate = {
        "standard": {"min_responsiveness": -0.5, "max_recall_loss": 0.05},
        "demo": {"min_responsiveness": -0.4, "max_recall_loss": 0.1},
        "tiny": {"min_responsiveness": 0.0, "max_recall_loss": 0.5},
    }.get(name, {})
    # The model that gets an index and SavedModels. KuaiRand has too few dislikes to learn from, but has skips.
    config.serve = "skip_label" if name.startswith("kuairand") else "dislike_input_and_label"
    # The arms of the A/B test by their signals: the control, blind to dislikes where there is such a model, the served
    # model, whose changes `ab_test/<metric>/relative` are, and whatever else is trained. Off-policy estimates are of
    # the first two. And random halvings of the control's users in its A/A tests.
    others = [signals for signals in (*config.plain[1:], *config.sweeps) if signals != config.serve]
    config.ab_arms = (config.plain[0], config.serve, *others)
    config.aa_tests = 200
    return config
