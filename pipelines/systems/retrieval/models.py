"""The models of a run and what was measured of them, for every section that speaks of them."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from data.traits import Traits
from metrics.intervals import flat
from pipelines.report.intervals import Metrics, Point, interval
from pipelines.report.run_folder import Run, curves, prefixed
from pipelines.systems.feed.stages import LOG
from pipelines.systems.retrieval.selection import KEPT, KEPT_OF_SAID_NO
from pipelines.systems.retrieval.stages import CEILING, Variant, variants
from retrieval.counted.weights import only_counts
from retrieval.full_corpus import compare

STAGES = ("train", "validate", "test", "counterfactual")
DISLIKE, SKIP, MET_DISLIKE = "long_watch+dislike", "skip", "met+dislike"


class No(NamedTuple):
    """What is held up against a baseline on the same item, in the words of each place that speaks of it."""

    in_words: str  # that it was done
    act: str
    branching: str  # how the history branches
    baseline: str
    slates: str  # after what the two slates are
    then: tuple[str, str]  # what came before and after the item's name


NOES = {
    DISLIKE: No(
        "one “not interested” after a long watch",
        "a dislike",
        "the same long watch, once without and once with a dislike",
        "a long watch of the same item",
        "once after a long watch of it and once after the same watch with a “not interested”",
        ("Then watched", " at length…"),
    ),
    SKIP: No(
        "a skip in place of a long watch",
        "a skip",
        "once a long watch, once a skip",
        "a long watch of the same item",
        "once after a long watch of it and once after a skip",
        ("Then watched", "…"),
    ),
    # Of a log without play times.
    MET_DISLIKE: No(
        "one “not interested”",
        "a dislike",
        "the item is met, once without and once with a dislike",
        "the same item, met and nothing said of it",
        "once after it was met and nothing said of it, and once after a “not interested”",
        ("Then met", "…"),
    ),
}
# Kinds of similarity in words, those of the paper first; a run has those that its log knows the labels of.
KINDS = {
    "content": "the share of items of the same kind among the next {} recommendations",
    "creator": "the share of items by the same creator among the next {} recommendations",
    "truth": "the share of what an aversion to that item would be about among the next {} recommendations",
    "embedding": "the mean cosine of the next {} recommendations with that item, in the log’s own embeddings,",
    "vectors": "the mean cosine of the next {} recommendations with that item, in another model’s vectors,",
}
# The served loss where dislikes are rare.
AMONG = "softmax_negatives"
# The towers and their memory alone: a step between the paper's model and ours, which few pipelines have.
WITHOUT_COUNTS = "dislike_input_and_label_without_counts"
TITLES = {
    "no_dislike_signal": "Blind to dislikes",
    "dislike_input_paper_tower": "Dislikes as input, the paper’s tower",
    "dislike_input_and_label_paper_tower": "Dislikes as input and label, the paper’s tower",
    WITHOUT_COUNTS: "Dislikes as input and label, with memory, nothing counted",
    "dislike_input": "Dislikes as input, with memory",
    "dislike_input_and_label": "Dislikes as input and label, with memory",
    AMONG: "Dislikes among the negatives, with memory",
    "skip_label": "Skips as label, with memory",
    "skip_label_alone": "Skips as label",
}
_PLAIN = "no_dislike_signal"
_WEIGHT = "weight/"  # before the names of the fitted weights, in the metrics of a training
_OF_NO_DISLIKES = {_PLAIN, "skip_label_alone"}

# Wang et al., RecSys '23, section 4: relative change of similarity after a dislike, by content and by creator. They are
# of the paper's own tower; the same configurations with the memory of retrieval/aversion.py, and with what is counted
# (retrieval/counted/), are held up against them.
_AS_INPUT, _AS_LABEL = {"content": -0.227, "creator": -0.228}, {"content": -0.608, "creator": -0.641}
PAPER = {
    "no_dislike_signal": {"content": 0.0, "creator": 0.0},
    "dislike_input_paper_tower": _AS_INPUT,
    "dislike_input_and_label_paper_tower": _AS_LABEL,
    WITHOUT_COUNTS: _AS_LABEL,
    "dislike_input": _AS_INPUT,
    "dislike_input_and_label": _AS_LABEL,
    AMONG: {},
}


def title_of(signals: str) -> str:
    """What a reader calls the model of these signals, which need not be among those that have a name here."""
    return TITLES.get(signals, signals.replace("_", " "))


def titles(config: ConfigDict) -> Mapping[str, str]:
    """What a reader calls the models of a pipeline: nobody is blind to dislikes where there are none."""
    words = {signals: title_of(signals) for signals in (*TITLES, *config.plain, *config.sweeps)}
    return words if len({*config.plain, *config.sweeps} - _OF_NO_DISLIKES) else {**words, _PLAIN: "Positives alone"}


class Model:
    """One variant and its stages' results."""

    def __init__(self, run: Run, variant: Variant, selected: Metrics) -> None:
        self._words = titles(run.config)[variant.signals]
        sweep, weight = run.config.sweeps.get(variant.signals), selected.get(f"{variant.signals}/negative_weight")
        self.variant, self.name = variant, variant.name
        self.weight = weight if variant.final else variant.weight  # of its negative labels
        # The variant that its sweep is held up against.
        against = sweep.reference if sweep else ""
        self.reference = Variant(signals=against, final=variant.final).name if against else None
        # By the rule, on validation days; variants without a weight and final ones are, too.
        self.chosen = variant.weight in (None, weight)
        self.train, self.validate, self.test = (run.metrics(f"{s}/{self.name}") for s in STAGES[:3])
        self.counterfactual = run.metrics(f"counterfactual/{self.name}")
        # Of its towers and of each part that is counted beside them; {} where nothing is.
        self.weights = {
            name.removeprefix(_WEIGHT): value for name, value in self.train.items() if name.startswith(_WEIGHT)
        }
        self.curves = curves(run.workdir / "train" / self.name)
        self.test_users = run.arrays(f"test/{self.name}/per_user.npz")  # metric -> [users], NaN where a user has none
        self.examples: list[dict[str, Any]] = run.json(f"counterfactual/{self.name}/examples.json", [])

    @property
    def title(self) -> str:
        """What a reader calls this model."""
        weight = "" if self.weight is None else f", weight {self.weight:g}"
        return f"{self._words}{weight}{', final' if self.variant.final else ''}{' (only counts)' * self.only_counts}"

    @property
    def emphasis(self) -> bool:
        """Whether its weight is the one that was chosen, and has an effect."""
        return self.chosen and self.weight is not None and not self.only_counts

    @property
    def only_counts(self) -> bool:
        """Whether its towers weigh nothing: then nothing that it has learned, and no weight of its labels, tells."""
        return only_counts(self.weights)


class Models:
    """All models of a run; `simulation` is the config of the counterfactual simulation."""

    def __init__(self, run: Run) -> None:
        self.run, self.selected = run, run.metrics("selected")
        self.all = [Model(run, variant, self.selected) for variant in variants(run.config)]
        # Of the feed's own truth; empty where the feed, or the log, does not know it.
        self.ceiling = run.metrics(CEILING)
        configs = (run.json(f"counterfactual/{model.name}/config.json") for model in self.all)
        self.simulation: Mapping[str, Any] = next((config["config"] for config in configs if config), {})
        log: Mapping[str, Any] = run.json(str(LOG), {})
        self.num_items: int = log.get("num_items", 0)  # 0 where there is no log yet; its traits are None then
        self.traits = Traits(**log["traits"]) if log else None
        trained = (run.json(f"train/{model.name}/config.json") for model in self.all)
        # What counts as liked, which all models of a run have in common.
        self.positive: Sequence[str] = next((config["config"]["positive"] for config in trained if config), ())
        # The branch that stands for a no: a dislike, or in a log without any a skip.
        self.no: str = next(iter(self.simulation.get("branches", ())), DISLIKE)
        self.words = NOES.get(self.no, NOES[DISLIKE]._replace(in_words=self.no, act=self.no))
        self.no_in_words, self.a_no = self.words.in_words, self.words.act

    def named(self, name: str | None) -> Model | None:
        """The variant of this name."""
        return next((model for model in self.all if model.name == name), None)

    def chosen(self, signals: str) -> Model | None:
        """The variant of these signals whose weight was chosen, or that has none; the final one, where there is one."""
        return next((m for m in reversed(self.all) if m.variant.signals == signals and m.chosen), None)

    @property
    def sample(self) -> str:
        """What to say of the users that were asked for on the test days, where they are some of all."""
        test = next((model.test for model in self.all if "users/drawn_from" in model.test), None)
        if test is None:
            return ""
        return f", {test['users']:,.0f} drawn from {test['users/drawn_from']:,.0f}"

    @property
    def uploaded_later(self) -> int:
        """Positives of the test days that nobody is asked for, as their items are uploaded after these begin."""
        return max((int(model.test.get("targets/uploaded_later", 0)) for model in self.all), default=0)

    @property
    def compared(self) -> Mapping[str, Mapping[str, float]]:
        """The signals whose responses are shown beside one another -> their published figures by kind, if any: those of
        the paper, and where nobody dislikes anything all that were trained.
        """
        if self.no in (DISLIKE, MET_DISLIKE) and any(self.chosen(signals) for signals in PAPER):
            of_kind = {s: {k: figure for k, figure in of.items() if k in self.kinds} for s, of in PAPER.items()}
            return {s: of for s, of in of_kind.items() if self.chosen(s) or (of and s != WITHOUT_COUNTS)}
        return {signals: {} for signals in dict.fromkeys(model.variant.signals for model in self.all)}

    @property
    def served(self) -> Model | None:
        """The model that is served."""
        return self.chosen(self.run.pipeline["serve"])

    @property
    def held_up(self) -> list[str]:
        """The signals with negative labels that are held up against a model of their kind without."""
        return [signals for signals, sweep in self.run.pipeline["sweeps"].items() if sweep["reference"]]

    @property
    def kept(self) -> float:
        """The share of the reference's Recall@100 that the weights were chosen to keep."""
        return self.selected.get(KEPT, self.run.pipeline["keep_recall"])

    @property
    def kept_of_said_no(self) -> float:
        """The same among those who had said no before; 0 where none was asked for."""
        return self.selected.get(KEPT_OF_SAID_NO, self.run.pipeline["keep_recall_said_no"])

    @functools.cached_property
    def kinds(self) -> list[str]:
        """The kinds of similarity that the run has figures of, the one that stands for all first."""
        return [kind for kind in KINDS if any(f"{self.no}/{kind}" in model.counterfactual for model in self.all)]

    def response(self, model: Model | None) -> Point | None:
        """How a model changes, after a dislike, what stands for all kinds; None where it was not measured."""
        return interval(model.counterfactual, f"{self.no}/{self.kinds[0]}") if model and self.kinds else None

    @functools.cached_property
    def changes(self) -> Metrics:
        """`change/<model>/<metric>` with bounds: the relative change of every test metric from the sweep's reference to
        the model, paired over users.
        """
        numbers: dict[str, float] = {}
        for model in self.all:
            reference = self.named(model.reference)
            if reference and reference.test_users and model.test_users:
                change = flat(compare(reference.test_users, model.test_users))
                numbers |= prefixed(f"change/{model.name}", change)
        return numbers

    def change(self, model: Model | None, metric: str) -> Point | None:
        """The relative change of a test metric from the model's reference, paired over users."""
        return interval(self.changes, f"change/{model.name}/{metric}") if model else None

    def numbers(self) -> dict[str, float]:
        """Every number of every stage under one flat name: `test/dislike_input/recall@100`."""
        numbers = prefixed("selected", self.selected)
        for model in self.all:
            for stage in STAGES:
                numbers |= prefixed(f"{stage}/{model.name}", getattr(model, stage))
        return {**numbers, **prefixed(CEILING, self.ceiling), **self.changes}


@functools.cache
def models(run: Run) -> Models:
    """Those of a run, read once."""
    return Models(run)
