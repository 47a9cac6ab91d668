"""Measures how an exported recommender responds to a "no" (Wang et al., RecSys '23, section 4).

  python -m simulation.counterfactual --config=configs/counterfactual.py --recommender=EXPORT --workdir=DIR

Users behave at random, as in the paper; with --world=DIR (of simulation.world) as new people of that feed; with
--data=TIMELINES they are real users with their logged pasts; --histories=FILE (Parquet: user_id, item_id, action) gives
pasts one by one. Slates are those of retrieval, or with --ranker=EXPORT the first of its candidates in the ranker's
order. Similar is what has the same content cluster or creator, what is close in the embeddings that the log has of its
items and, with --similarity_vectors=EXPORT, whose vectors in another model are close; and with --truth=DIR, of the
simulation.world that the recommender was trained on, what its aversions would be about.

Writes into --workdir: metrics.json (`<branch>/content`, `/creator`, `/truth`, `/embedding`, `/vectors`: relative change
against the baseline, with `/low` and `/high`; `similarity/<branch>/content`: mean; `users/content`: users that count;
the same behind `after_5/`, 5 steps later, `k_10/` and `slate_20/`; means behind `other/`, of what is similar to the
first item of another cluster; `events_read`: T, those that the model reads), per_user.npz (`<branch>/<kind>` [users],
`items` [users, k], `slates/<branch>` [users, slate]) and examples.json. With --truth there is one more branch,
`filtered`: the model is told nothing, and what an aversion to the item would be about is never shown.

With --min_responsiveness=-0.5 the first of --config.branches has to leave no more than half of the similar items, by
content and by creator, each as far as the item table knows it; with --max_recall_loss=0.02 --evaluation=METRICS
--reference_evaluation=METRICS Recall@100 may fall by 2%: a model that falls short ends with exit status 4. Estimates
are judged, not their intervals. The verdict stands in verdict.json and, under `gate/`, in metrics.json.
"""

from collections.abc import Sequence

from absl import flags

from runtime import app
from runtime.config import define_config
from runtime.errors import UsageError
from runtime.paths import define_path

_CONFIG = define_config("configs/counterfactual.py", "Settings: FILE or FILE:SIZE or FILE:SIZE,EXPERIMENT.")
_RECOMMENDER = define_path("recommender", None, "The folder that retrieval.export wrote.", required=True)
_RANKER = define_path("ranker", None, "The folder that ranking.export wrote: puts candidates in order.")
_CANDIDATES = flags.DEFINE_integer("candidates", 200, "Items that the recommender gives the ranker.", lower_bound=1)
_WORKDIR = define_path("workdir", None, "The folder where results go.")
_WORLD = define_path("world", None, "New people of this feed: the workdir of a simulation.world.")
_DATA = define_path("data", None, "Users of these timelines, with their logged histories.")
_HISTORIES = define_path("histories", None, "Users of this Parquet file: user_id, item_id, action.")
_VECTORS = define_path("similarity_vectors", None, "Another exported recommender, whose vectors say what is alike.")
_TRUTH = define_path(
    "truth", None, "The feed behind --recommender, a simulation.world, whose truth says what is alike."
)
_MIN_RESPONSIVENESS = flags.DEFINE_float(
    "min_responsiveness", None, "The first branch has to change similarity by this or further down: -0.5 for half."
)
_MAX_RECALL_LOSS = flags.DEFINE_float("max_recall_loss", None, "Most of the reference's Recall@100 that may be lost.")
_EVALUATION = define_path("evaluation", None, "metrics.json of this model's retrieval.evaluate.")
_REFERENCE = define_path("reference_evaluation", None, "metrics.json of the model that it is to replace.")


def main(argv: Sequence[str]) -> None:
    """Checks the flags and runs."""
    del argv
    given = [flag.name for flag in (_WORLD, _DATA, _HISTORIES) if flag.value]
    if len(given) > 1:
        raise UsageError(f"--{given[0]} and --{given[1]}: users have one past; give one of them")
    # Imported here: --help must not wait for jax.
    from simulation.counterfactual.gate import Gate
    from simulation.counterfactual.measurement import run

    run(
        _CONFIG.value,
        _RECOMMENDER.value,
        _WORKDIR.value,
        world=_WORLD.value,
        data=_DATA.value,
        histories=_HISTORIES.value,
        similarity_vectors=_VECTORS.value,
        truth=_TRUTH.value,
        ranker=_RANKER.value,
        candidates=_CANDIDATES.value,
        gate=Gate(
            min_responsiveness=_MIN_RESPONSIVENESS.value,
            max_recall_loss=_MAX_RECALL_LOSS.value,
            evaluation=_EVALUATION.value,
            reference=_REFERENCE.value,
        ),
    )


if __name__ == "__main__":
    app.run(main)
