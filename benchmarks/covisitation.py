"""What co-visitation beside the towers adds on the validation days, at other settings of it.

  python -m benchmarks.covisitation --data=TIMELINES --checkpoint=TRAIN_WORKDIR

One run of retrieval.train, as it is and with one setting at a time as --weights, --decays, --priors and --erased say
(retrieval/covisitation.py); a weight of 0 is the towers alone. Recall@100 and dislike@100 by both ways of asking, of
--users users and --events of each kind, beside the best simple rule.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from absl import flags

from runtime import app
from runtime.paths import define_path

_DATA = define_path("data", None, "Folder of timelines, written by data.prepare.", required=True)
_CHECKPOINT = define_path("checkpoint", None, "The workdir of a retrieval.train with co-visitation.", required=True)
_USERS = flags.DEFINE_integer("users", 2_000, "Users that are asked for.", lower_bound=1)
_EVENTS = flags.DEFINE_integer(
    "events", 2_000, "Reactions of each kind that are asked before, one by one.", lower_bound=1
)
_GRID: Mapping[str, Any] = {
    "covisitation_weight": flags.DEFINE_multi_float("weights", [0.0, 10.0, 20.0, 40.0, 80.0], "a"),
    "covisitation_decay": flags.DEFINE_multi_float("decays", [0.9, 0.95, 0.98, 1.0], "γ"),
    "covisitation_prior": flags.DEFINE_multi_float("priors", [1.0, 5.0, 20.0], "λ"),
    "covisitation_erased": flags.DEFINE_multi_float("erased", [0.0, 1.0, 2.0, 4.0], "c"),
}
_SHOWN = ("recall@10", "recall@100", "dislike@100", "next_item/recall@100", "next_item/dislike@100")


def rows() -> Iterator[tuple[str, dict[str, float]]]:
    """Label and settings of each row: the run's own first."""
    yield "as trained", {}
    for name, values in _GRID.items():
        for value in values.value:
            yield f"{name.removeprefix('covisitation_')} {value:g}", {name: value}


def main(argv: Sequence[str]) -> None:
    """Measures and prints."""
    del argv

    # Imported here so that --help does not wait for them.
    from data.timelines import Timelines
    from retrieval import checkpoint, full_corpus, simple_rules
    from retrieval.queries import asked
    from runtime import table as text_table
    from runtime.errors import UsageError

    timelines = Timelines.open(_DATA.value)
    run = checkpoint.load(_CHECKPOINT.value, timelines)
    if not run.config.get("covisitation_dim", 0):
        raise UsageError(f"--checkpoint={_CHECKPOINT.value}: trained without co-visitation; give a run that has it")
    positive = tuple(run.config.positive)
    queries = asked(timelines, split="valid", positive=positive, users=_USERS.value, events=_EVENTS.value)

    def cells(scorers: Mapping[str, Any], label: str) -> list[str]:
        metrics = full_corpus.evaluate(scorers, queries, timelines, label=label, samples=2).metrics
        return [f"{metrics[name]:.4f}" if name in metrics else "-" for name in _SHOWN]

    found = {}
    for label, settings in rows():
        model = checkpoint.load(_CHECKPOINT.value, timelines, split="valid", covisitation_settings=settings)
        score = full_corpus.model_scorer(model.encode, model.item_vectors(), timelines, reading=model.reading)
        found[label] = cells(dict.fromkeys(queries, score), label)
    rules = simple_rules.tuned(timelines, tuple(queries), split="valid", positive=positive)
    found |= {rule: cells(scorers, rule) for rule, scorers in rules.items()}
    print(text_table.text("validation days", list(_SHOWN), found))


if __name__ == "__main__":
    app.run(main)
