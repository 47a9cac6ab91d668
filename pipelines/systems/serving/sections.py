"""The report's sections on what is served: the gate, the index, and the model's card."""

from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from pipelines.graph.configs import config_of
from pipelines.report.intervals import Metrics
from pipelines.report.run_folder import Run, prefixed
from pipelines.report.section import Section
from pipelines.systems.feed.stages import LOG
from pipelines.systems.retrieval.models import DISLIKE, KINDS, MET_DISLIKE, Model, models, titles
from pipelines.systems.serving.stages import VERDICT
from retrieval.counted.weights import ONLY_COUNTS

_LABELS = {"recall_loss": "Recall@100 lost on the test days, against no negatives"}
_LABELS |= {
    f"{no}/{kind}": f"Change in similar items after a dislike, by {kind}"
    for no in (DISLIKE, MET_DISLIKE)
    for kind in KINDS
}

# --config.objective of configs/retrieval.py -> what a model of it learns from, where it has negative labels.
LEARNS_FROM = {
    "not_to_recommend": "Positive labels, and the not-to-recommend labels of its configuration, in one softmax "
    "objective (Wang et al., RecSys ’23, equation 1).",
    "negative_weight": "Positive labels, and negative ones with a weight below zero in the same cross entropy over the "
    "corpus.",
    "reinforce": "Positive labels as rewards and negative ones as negative rewards, by REINFORCE with top-K off-policy "
    "correction (Chen et al., WSDM ’19).",
    "softmax_negatives": "Positive labels, in a softmax over the corpus in which what was turned down beside them "
    "counts more often among the negatives; there is no term of its own for a no.",
    "label_and_softmax_negatives": "Positive labels, in a softmax over the corpus in which what was turned down beside "
    "them counts more often among the negatives, and its not-to-recommend labels (Wang et al., RecSys ’23, equation "
    "1).",
    "contrastive": "Positive labels, in a softmax over the corpus that all the same user’s noes join; there is no term "
    "of its own for a no.",
    "separate_histories": "Positive labels, in a softmax over the corpus, and their contrast with the same user’s "
    "noes, which an encoder apart reads in training (Ivanova et al., RecSys ’25).",
}
_POSITIVES_ALONE = "Positive labels alone, in a softmax over the corpus: it is told no no."


def gate(run: Run) -> Section | None:
    """What was asked of the model before it is served; nothing where the pipeline asks for nothing."""
    if not run.pipeline.get("gate"):
        return None
    return _section(run, "gate", "", run.metrics("gate"))


def index(run: Run) -> Section:
    """How well and how fast it is served."""
    measured = {} if refused(run) else run.metrics("serve")
    return _section(run, "index", "Index", prefixed("serve", measured))


def card(run: Run) -> Section:
    """What the model is, and is not, for."""
    return _section(run, "card", "Model card", {})


def refused(run: Run) -> bool:
    """Whether the gate has refused the model: nothing is served, whatever an earlier run has left."""
    return not _verdict(run).get("passed", True)


def _verdict(run: Run) -> dict[str, Any]:
    return run.json(str(VERDICT), {})


def _read_of_items(manifest: Mapping[str, Any]) -> str:
    # What an item's vector is made of, by the manifest of an export or of timelines: in words.
    features = [feature["name"].removeprefix("item.") for feature in manifest.get("item_features", ())]
    names = ["id", *features, *(["embedding"] if manifest.get("item_embeddings") else [])]
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else f"{names[0]} alone"


def _config_of_served(run: Run, served: Model | None) -> ConfigDict:
    # What it was trained with; before that, what its name stands for.
    usual = config_of(f"configs/retrieval.py:{run.config.retrieval},{run.config.serve}")
    trained = run.json(f"train/{served.name}/config.json", {}) if served else {}
    return ConfigDict({**usual.to_dict(), **trained.get("config", {})})


def _section(run: Run, anchor: str, title: str, numbers: Metrics) -> Section:
    verdict, manifest = _verdict(run), run.json("serve/recommender/manifest.json")
    config = _config_of_served(run, models(run).served)
    parts = {
        "models": models(run),
        "signals": titles(run.config),
        "refused": refused(run),
        "only_counts": ONLY_COUNTS,
        "read_of_items": _read_of_items(manifest or run.json(str(LOG), {})),
        "left_out": run.left_out,
        "remembers": bool(config.memory_feedback),
        "learns_from": LEARNS_FROM[config.objective] if config.negative else _POSITIVES_ALONE,
        "unjudged": verdict.get("unjudged", {}),
        "checks": [
            {**check, "label": _LABELS.get(check["name"], check["name"])} for check in verdict.get("checks", ())
        ],
        "manifest": manifest,
        "measured": run.metrics("serve"),
    }
    template = f"systems/serving/{anchor}.html.j2"
    return Section(anchor=anchor, title=title, template=template, parts=parts, numbers=numbers)
