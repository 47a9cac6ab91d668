"""What the retrieval models' figures say: the sentences and the cards at the top of the report.

Every sentence follows from a figure and its interval; where the interval holds zero, the sentence says so.
"""

from dataclasses import dataclass

from pipelines.report.intervals import Point, in_words, signed
from pipelines.systems.left_out import RESPONSIVENESS
from pipelines.systems.retrieval.models import AMONG, KINDS, SKIP, WITHOUT_COUNTS, Models
from pipelines.systems.retrieval.tables import best_rule, small_corpus
from retrieval.counted.weights import ONLY_COUNTS

_NOTHING = "Nothing has been compared yet: this report cannot say how the models respond."
_NO_NO = (
    "This report cannot say whether the recommender takes a no, as {}: it says what is recommended, and what would "
    "have to be logged."
)
_LABEL, _PAPER_TOWER = "dislike_input_and_label", "dislike_input_and_label_paper_tower"
# The model whose response comes first: of these the first that there is.
_WHO = {
    _LABEL: "the model that learns from dislikes and remembers them",
    AMONG: "the model that learns from dislikes among its negatives and remembers them",
    "skip_label": "the model that learns from skips, and reads and remembers dislikes",
    "skip_label_alone": "the model that learns from skips",
    "dislike_input": "the model that reads and remembers dislikes, and learns from positives alone",
    "no_dislike_signal": "the model that learns from positives alone",
}
_ONLY_COUNTS = "the model whose towers have no weight, which only counts"

_BLIND = ("for one that learns from positives alone", "for a model that is blind to them")  # of skips, of dislikes


@dataclass(frozen=True)
class Card:
    """A number to remember."""

    figure: str
    caption: str
    detail: str


def headline(models: Models) -> list[str]:
    """The answer, a few sentences, the first of which can stand alone."""
    on = (
        _on_no_no,
        _on_dislikes,
        _on_what_only_counts,
        _on_weaker_models,
        _on_its_price,
        _on_simple_rules,
        _on_a_small_corpus,
        _on_skips,
    )
    return [sentence for say in on if (sentence := say(models))] or [_NOTHING]


def cards(models: Models) -> list[Card]:
    """The few numbers at the top."""
    kind = next(iter(models.kinds), "")
    words = {"creator": "items of its creator", "embedding": "similarity", "vectors": "similarity"}
    similar = words.get(kind, "similar items")
    shown = []
    first = f"{similar} in the next slate after "
    label = models.chosen(_LABEL)
    with_both = (
        "with what is counted alone"
        if label and label.only_counts
        else "with the memory of dislikes and what is counted"
    )
    responding = {_LABEL: f"{first}one “not interested”, {with_both}"}
    if label:
        responding[WITHOUT_COUNTS] = "the same loss with that memory, nothing counted"
        responding[_PAPER_TOWER] = "the same loss on the paper’s own tower, without either"
    elif models.served:
        responding = {models.served.variant.signals: f"{first}{models.no_in_words}"}
    for signals, what in responding.items():
        if point := models.response(models.chosen(signals)):
            shown.append(Card(signed(point.value), what, _bounds(point)))
    served, rule = models.served, best_rule(models)
    if served and rule and "recall@100" in served.test:
        figures = f"{served.test['recall@100']:.3f} vs {rule[1]:.3f}"
        shown.append(Card(figures, f"Recall@100: the served model against the best simple rule, {rule[0]}", ""))
    if served and served.only_counts:  # what follows is of what it has learned
        return shown
    if recall := models.change(served, "recall@100"):
        what = "of Recall@100 kept, against the same model without negatives"
        shown.append(Card(f"{1 + recall.value:.1%}", what, _bounds(recall, plus=1.0)))
    # Of the noes that the model learned from; of the others where the log holds none of these out.
    noes = {"dislike@100": "disliked", "skip@100": "skipped"}
    if served and served.variant.signals.startswith("skip"):
        noes = dict(reversed(noes.items()))
    for metric, what in noes.items():
        if fewer := models.change(served, metric):
            shown.append(Card(signed(fewer.value), f"{what} items in the top 100", _bounds(fewer)))
            break
    return shown


def _bounds(point: Point, *, plus: float = 0.0) -> str:
    if point.low == point.high:
        return ""
    form = signed if not plus else "{:.1%}".format
    return f"95% interval {form(plus + point.low)} to {form(plus + point.high)}"


def _on_no_no(models: Models) -> str:
    if models.run.pipeline["counterfactual"]:
        return ""
    why = (lost["why"] for lost in models.run.left_out if lost["what"] == RESPONSIVENESS)
    return _NO_NO.format(next(why, "this pipeline does not measure it"))


def _first(models: Models) -> str:
    return next((signals for signals in _WHO if models.response(models.chosen(signals))), "")


def _on_dislikes(models: Models) -> str:
    signals = _first(models)
    model = models.chosen(signals)
    if not (model and (point := models.response(model))):
        return ""
    who = _ONLY_COUNTS if model.only_counts else _WHO[signals]
    changes = "is not seen to change" if point.holds_zero else "changes"
    return (
        f"With {who}, {models.no_in_words} {changes} what comes next: "
        f"{KINDS[models.kinds[0]].format(models.simulation['slate_size'])} {in_words(point)}."
    )


def _on_what_only_counts(models: Models) -> str:
    if not (models.served and models.served.only_counts):
        return ""
    return f"{ONLY_COUNTS[0].upper()}{ONLY_COUNTS[1:]}, and nothing that its model has learned has an effect."


def _on_weaker_models(models: Models) -> str:
    said: list[str] = []
    for signals, words in (
        (WITHOUT_COUNTS, "without what is counted beside the towers"),
        (
            _PAPER_TOWER,
            "on the paper’s own tower, which learns by the same loss and has neither a memory nor anything counted",
        ),
        ("dislike_input", "where dislikes are only an input, with both"),
        ("no_dislike_signal", _BLIND[models.no != SKIP]),
    ):
        model = models.chosen(signals)
        if signals == _first(models) or (model and model.only_counts):
            continue
        if point := models.response(model):
            said.append(f"{words}, {'it' if said else 'the same figure'} {in_words(point)}")
    return f"{said[0][0].upper()}{'; '.join(said)[1:]}." if said else ""


def _on_its_price(models: Models) -> str:
    model = models.chosen(_LABEL) or models.served
    reference, recall = models.named(model.reference if model else None), models.change(model, "recall@100")
    if not (model and reference and recall) or model.only_counts:
        return ""
    before, after = reference.test["recall@100"], model.test["recall@100"]
    said = f"The price, on days that no model saw: Recall@100 {in_words(recall)}, from {before:.3f} to {after:.3f}"
    if not (of_those := models.change(model, "recall@100/said_no")):
        return f"{said}."
    return f"{said}; for the {model.test['users/said_no']:,.0f} users who had said no before, it {in_words(of_those)}."


def _on_simple_rules(models: Models) -> str:
    served, rule = models.served, best_rule(models)
    if not (served and rule and "recall@100" in served.test):
        return ""
    (label, recall), found = rule, served.test["recall@100"]
    said = (
        f"The best simple rule on these days, {label}, which learns no parameters, has a Recall@100 of {recall:.3f}; "
        f"the served model has {found:.3f}"
    )
    if not (ceiling := models.ceiling.get("recall@100")):
        return f"{said}."
    return f"{said}, which is {found / ceiling:.0%} of the {ceiling:.3f} that the feed’s own truth would find."


def _on_a_small_corpus(models: Models) -> str:
    return small_corpus(models) if models.served and "recall@100" in models.served.test else ""


def _on_skips(models: Models) -> str:
    model = models.chosen("skip_label") or models.chosen("skip_label_alone")
    fewer, recall = models.change(model, "skip@100"), models.change(model, "recall@100")
    if not (model and fewer and recall) or model.only_counts:
        return ""
    return (
        f"For the model that learns from skips, the share of later-skipped items in the top 100 {in_words(fewer)}, and "
        f"Recall@100 {in_words(recall)}."
    )
