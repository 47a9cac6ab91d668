r"""Measures a trained retrieval model on held-out days, beside simple rules, by two ways of asking.

    python -m retrieval.evaluate --config=configs/retrieval.py:kuairand_pure --data=TIMELINES \
        --checkpoint=TRAIN_WORKDIR --workdir=DIR --split=test

Asked a query a user when the days begin, for all that the user then likes; and, under next_item/, just before each
positive, skip and dislike of these days, for the next item (retrieval/queries.py).

Writes metrics.json (recall@10|50|100, ndcg@10|100, mrr, skip@100, dislike@100, coverage@100, diversity;
recall@100/said_no, of those alone who had disliked something before: what hearing a no costs them; of next_item also
dislike@10 and delta_hr@10, recall@10 less that; users/said_no, how many these are, and users/drawn_from, how many there
were where only some are asked for; targets/uploaded_later, positives left out as their items were not there yet when
the days began; those of the rules of retrieval/simple_rules.py under popularity_1d/, popularity_7d/, item_knn/,
item_knn_popularity/ and counts/; by how much the model's Recall is above that of the rule that has most of it under
ahead/, paired over users; 95% bounds under /low and /high) and per_user.npz, the model's figures user by user, with
which two models are compared in pairs (retrieval/full_corpus.py: compare).
Of the config only `positive`, what counts as a target, is read; the model's own is in its checkpoint.
"""

from collections.abc import Sequence

from absl import flags

from runtime import app
from runtime.config import define_config
from runtime.paths import define_path

_CONFIG = define_config("configs/retrieval.py", "Settings: FILE or FILE:NAME.")
_DATA = define_path("data", None, "The timelines that the model was trained on.", required=True)
_CHECKPOINT = define_path("checkpoint", None, "The workdir of retrieval.train.", required=True)
_WORKDIR = define_path("workdir", None, "The folder where results go.")
_SPLIT = flags.DEFINE_enum("split", "test", ["valid", "test"], "The days to measure on.")
_BASELINES = flags.DEFINE_boolean("baselines", True, "Measure the simple rules too.")
_USERS = flags.DEFINE_integer("users", 20_000, "Users that are asked for at most, drawn.", lower_bound=1)
_EVENTS = flags.DEFINE_integer(
    "events", 2_000, "Positives, skips and dislikes, of each, that next_item asks for at most.", lower_bound=1
)


def main(argv: Sequence[str]) -> None:
    """Checks the flags and runs."""
    del argv
    # Imported here: --help must not wait for jax.
    from retrieval.measurement import run

    run(
        positive=_CONFIG.value.positive,
        data=_DATA.value,
        checkpoint=_CHECKPOINT.value,
        workdir=_WORKDIR.value,
        split=_SPLIT.value,
        with_baselines=_BASELINES.value,
        users=_USERS.value,
        events=_EVENTS.value,
    )


if __name__ == "__main__":
    app.run(main)
