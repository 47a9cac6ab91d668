"""What the numbers say: comparisons of models, paired over users, and the sentences that a reader takes home.

Every sentence follows from a figure and its interval; where the interval holds zero, the sentence says so.
"""

from metrics.intervals import flat
from pipelines.charts import Point, signed
from pipelines.evidence import Evidence, Metrics, Model
from retrieval.full_corpus import compare

# Wang et al., RecSys '23, section 4: relative change of similarity after a dislike, by content and by creator. They are
# of the paper's own tower; the same configurations with the memory of retrieval/aversion.py are held up against them.
_AS_INPUT, _AS_LABEL = {"content": -0.227, "creator": -0.228}, {"content": -0.608, "creator": -0.641}
PAPER = {
    "no_dislike_signal": {"content": 0.0, "creator": 0.0},
    "dislike_input_paper_tower": _AS_INPUT,
    "dislike_input_and_label_paper_tower": _AS_LABEL,
    "dislike_input": _AS_INPUT,
    "dislike_input_and_label": _AS_LABEL,
}
# Kinds of similarity in words, those of the paper first; a run has those that its log knows the labels of.
KINDS = {
    "content": "the share of items of the same kind among the next {} recommendations",
    "creator": "the share of items by the same creator among the next {} recommendations",
    "vectors": "the mean cosine of the next {} recommendations with that item, in another model’s vectors,",
}
TITLES = {
    "no_dislike_signal": "Blind to dislikes",
    "dislike_input_paper_tower": "Dislikes as input, the paper’s tower",
    "dislike_input_and_label_paper_tower": "Dislikes as input and label, the paper’s tower",
    "dislike_input": "Dislikes as input, with memory",
    "dislike_input_and_label": "Dislikes as input and label, with memory",
    "skip_label": "Skips as label, with memory",
}
# Rules without training that every retrieval model is measured beside, by the prefix of their figures.
RULES = {
    "popularity_7d": "Popularity, last 7 days",
    "item_knn": "Item-kNN",
    "item_knn_popularity": "Item-kNN × popularity",
}
DISLIKE = "long_watch+dislike"
_NOTHING = "Nothing has been compared yet: this report cannot say how the models respond."


def title(model: Model) -> str:
    """What a reader calls this model."""
    weight = "" if model.weight is None else f", weight {model.weight:g}"
    return TITLES[model.variant.signals] + weight + (", final" if model.variant.final else "")


def kinds(evidence: Evidence) -> list[str]:
    """The kinds of similarity that the run has figures of, the one that stands for all first."""
    return [kind for kind in KINDS if any(f"{DISLIKE}/{kind}" in model.counterfactual for model in evidence.models)]


def responds(evidence: Evidence, model: Model | None) -> Point | None:
    """How the model changes, after a dislike, what stands for all kinds; None where it was not measured."""
    found = kinds(evidence)
    return interval(model.counterfactual, f"{DISLIKE}/{found[0]}") if model and found else None


def interval(metrics: Metrics, name: str, label: str = "") -> Point | None:
    """A metric with its bounds, or None where it was not measured."""
    if name not in metrics:
        return None
    value = metrics[name]
    return Point(value, metrics.get(f"{name}/low", value), metrics.get(f"{name}/high", value), label)


def against_reference(evidence: Evidence) -> dict[str, float]:
    """`change/<model>/<metric>` with bounds: the relative change of every test metric from the sweep's reference to the
    model, paired over users.
    """
    numbers: dict[str, float] = {}
    for model in evidence.models:
        reference = evidence.model(model.reference)
        if reference and reference.test_users and model.test_users:
            changes = flat(compare(reference.test_users, model.test_users))
            numbers |= {f"change/{model.name}/{name}": value for name, value in changes.items()}
    return numbers


def best_rule(evidence: Evidence, metric: str = "recall@100") -> tuple[str, float] | None:
    """The simple rule that has most of a metric on the test days, and how much; None where none was measured."""
    found = {
        label: model.test[f"{name}/{metric}"]
        for model in evidence.models
        for name, label in RULES.items()
        if f"{name}/{metric}" in model.test
    }
    return max(found.items(), key=lambda entry: entry[1]) if found else None


def change(changes: Metrics, model: Model | None, metric: str) -> Point | None:
    """The relative change of a test metric of `model` from its reference, as `against_reference` found it."""
    return interval(changes, f"change/{model.name}/{metric}") if model else None


def in_words(point: Point) -> str:
    """A relative change for a reader: what it is, and whether it can be told from nothing."""
    if point.low == point.high == 0:
        return "stays as it is"
    if point.low == point.high:
        return f"{'falls' if point.value < 0 else 'rises'} by {abs(point.value):.1%}"
    if point.low <= 0 <= point.high:
        return f"does not change measurably (95% interval {signed(point.low)} to {signed(point.high)})"
    verb, low, high = ("falls", -point.high, -point.low) if point.value < 0 else ("rises", point.low, point.high)
    return f"{verb} by {abs(point.value):.1%} (95% interval {low:.1%} to {high:.1%})"


def headline(evidence: Evidence, changes: Metrics) -> list[str]:
    """The answer, a few sentences, the first of which can stand alone."""
    found = [
        _on_dislikes(evidence),
        _on_weaker_models(evidence),
        _on_its_price(evidence, changes),
        _on_simple_rules(evidence),
        _on_skips(evidence, changes),
    ]
    return [sentence for sentence in found if sentence] or [_NOTHING]


def _on_dislikes(evidence: Evidence) -> str:
    point = responds(evidence, evidence.chosen("dislike_input_and_label"))
    if not point:
        return ""
    return (
        "With the model that learns from dislikes and remembers them, one “not interested” after a long watch changes "
        f"what comes next: {KINDS[kinds(evidence)[0]].format(evidence.simulation['slate_size'])} {in_words(point)}."
    )


def _on_weaker_models(evidence: Evidence) -> str:
    said: list[str] = []
    for signals, words in (
        (
            "dislike_input_and_label_paper_tower",
            "on the paper’s own tower, which learns by the same loss and lacks that memory",
        ),
        ("dislike_input", "where dislikes are only an input, with the memory"),
        ("no_dislike_signal", "for a model that is blind to them"),
    ):
        if point := responds(evidence, evidence.chosen(signals)):
            said.append(f"{words}, {'it' if said else 'the same figure'} {in_words(point)}")
    return f"{said[0][0].upper()}{'; '.join(said)[1:]}." if said else ""


def _on_its_price(evidence: Evidence, changes: Metrics) -> str:
    model = evidence.chosen("dislike_input_and_label")
    reference = evidence.model(model.reference) if model else None
    recall = change(changes, model, "recall@100")
    if not (model and reference and recall):
        return ""
    before, after = reference.test["recall@100"], model.test["recall@100"]
    return f"The price, on days that no model saw: Recall@100 {in_words(recall)}, from {before:.3f} to {after:.3f}."


def _on_simple_rules(evidence: Evidence) -> str:
    served, rule = evidence.chosen(evidence.pipeline["serve"]), best_rule(evidence)
    if not (served and rule and "recall@100" in served.test):
        return ""
    label, recall = rule
    return (
        f"The best simple rule on these days, {label}, which learns no parameters, has a Recall@100 of {recall:.3f}; "
        f"the served model has {served.test['recall@100']:.3f}."
    )


def _on_skips(evidence: Evidence, changes: Metrics) -> str:
    model = evidence.chosen("skip_label")
    fewer, recall = change(changes, model, "skip@100"), change(changes, model, "recall@100")
    if not (fewer and recall):
        return ""
    return (
        f"For the model that learns from skips, the share of later-skipped items in the top 100 {in_words(fewer)}, and "
        f"Recall@100 {in_words(recall)}."
    )
