"""What each part that is counted beside the towers adds, and what the towers add to them.

  python -m benchmarks.counted --data=TIMELINES --checkpoint=TRAIN_WORKDIR

One run of retrieval.train: with all, its towers alone, with one part, with all but one, and all but the towers.
The weights of every row are fitted on the validation days (retrieval/counted/weights.py), but for how much a no takes
away, which stays as the run has it. The row is measured on those of --split: Recall, skip@100 and dislike@100 by both
ways of asking, beside the simple rules. --decays, --priors, --noes_weights and the like add rows with everything at
other settings; as the validation days choose these, ask for --split=valid then.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from absl import flags

from runtime import app
from runtime.paths import define_path

_DATA = define_path("data", None, "Folder of timelines, written by data.prepare.", required=True)
_CHECKPOINT = define_path("checkpoint", None, "The workdir of a retrieval.train.", required=True)
_SPLIT = flags.DEFINE_enum("split", "test", ["valid", "test"], "The days that every row is measured on.")
_USERS = flags.DEFINE_integer("users", 20_000, "Users that are asked for.", lower_bound=1)
_EVENTS = flags.DEFINE_integer(
    "events", 2_000, "Reactions of each kind that are asked before, one by one.", lower_bound=1
)
_GRID: Mapping[str, Any] = {
    "covisitation_decay": flags.DEFINE_multi_float("decays", [], "γ of co-visitation."),
    "category_decay": flags.DEFINE_multi_float("category_decays", [], "γ of categories."),
    "covisitation_prior": flags.DEFINE_multi_float("priors", [], "λ of co-visitation."),
    "category_prior": flags.DEFINE_multi_float("category_priors", [], "m of categories."),
    "covisitation_noes_weight": flags.DEFINE_multi_float("noes_weights", [], "b of co-visitation."),
    "counted_length": flags.DEFINE_multi_integer("lengths", [], "Events of a history that are read."),
}
_SHOWN = ("recall@10", "recall@100", "skip@100", "dislike@100")


def rows(parts: Sequence[str]) -> Iterator[tuple[str, tuple[str, ...], dict[str, Any]]]:
    """Label, terms of the sum, and settings of each row."""
    everything = ("towers", *parts)
    yield "all", everything, {}
    yield "towers alone", ("towers",), {}
    for part in parts:
        yield f"towers, {part}", ("towers", part), {}
    for left_out in everything:
        yield f"all but {left_out}", tuple(term for term in everything if term != left_out), {}
    for name, values in _GRID.items():
        for value in values.value:
            yield f"{name} {value:g}", everything, {name: value}


def main(argv: Sequence[str]) -> None:
    """Measures and prints."""
    del argv

    # Imported here so that --help does not wait for them.
    from pathlib import Path

    from data.timelines import Timelines
    from retrieval import checkpoint, full_corpus, simple_rules
    from retrieval.counted import files
    from retrieval.counted.parts import NOES
    from retrieval.counted.weights import fit
    from retrieval.queries import asked
    from runtime import table as text_table
    from runtime.errors import UsageError

    timelines = Timelines.open(_DATA.value)
    run = checkpoint.load(_CHECKPOINT.value, timelines)
    parts = tuple(run.config.get("counted", ()))
    if not parts:
        raise UsageError(
            f"--checkpoint={_CHECKPOINT.value}: trained without anything counted; give a run that has some"
        )
    if "valid" in run.config.train_on:  # nothing is left to fit by: every row would have the weights of the run
        raise UsageError(
            f"--checkpoint={_CHECKPOINT.value}: has learned from the validation days; give the run that it repeats"
        )
    positive = tuple(run.config.positive)
    queries = asked(timelines, split=_SPLIT.value, positive=positive, users=_USERS.value, events=_EVENTS.value)
    counted, of_run = files.read(Path(_CHECKPOINT.value), "valid")
    names = [prefix + name for prefix in queries for name in _SHOWN]

    def cells(scorers: Mapping[str, Any], label: str) -> list[str]:
        metrics = full_corpus.evaluate(scorers, queries, timelines, label=label, samples=2).metrics
        return [f"{metrics[name]:.4f}" if name in metrics else "-" for name in names]

    found, weights_of = {}, {}
    terms_shown = [checkpoint.TOWERS, *parts, *([NOES] if NOES in of_run else [])]
    for label, terms, of_row in rows(parts):
        # Fitted, whatever the run was given.
        settings = {"counted_weights": (), "covisitation_noes_weight": of_run.get(NOES), **of_row}
        # Once to fit the weights, on the validation days, and once to be asked with them.
        towers = checkpoint.load(
            _CHECKPOINT.value, timelines, until="valid", settings=settings, weights={checkpoint.TOWERS: 1.0}
        )
        weights = fit(towers, counted, timelines, terms=terms)
        model = checkpoint.load(_CHECKPOINT.value, timelines, until=_SPLIT.value, settings=settings, weights=weights)
        score = full_corpus.ModelScorer(model.encode, model.item_vectors(), timelines, reading=model.reading)
        found[label] = cells(dict.fromkeys(queries, score), label)
        weights_of[label] = [f"{weights.get(name, 0.0):.3g}" for name in terms_shown]
    rules = simple_rules.tuned(timelines, tuple(queries), split=_SPLIT.value, positive=positive)
    found |= {rule: cells(scorers, rule) for rule, scorers in rules.items()}
    print(text_table.text(f"{_SPLIT.value} days", names, found))
    print(text_table.text("weights", terms_shown, weights_of))


if __name__ == "__main__":
    app.run(main)
