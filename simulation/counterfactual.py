"""Measures how an exported recommender responds to a "no" (Wang et al., RecSys '23, section 4).

  python -m simulation.counterfactual --config=configs/counterfactual.py --recommender=EXPORT --workdir=DIR

Writes into --workdir: metrics.json (`<branch>/content`, `<branch>/creator`: relative change against the baseline, with
`/low` and `/high`; `similarity/<branch>/content`: mean share of the slate; `users/content`: users that count),
per_user.npz (`<branch>/<kind>` [users], `items` [users, k], `slates/<branch>` [users, slate]) and examples.json.
"""

from collections.abc import Sequence

from absl import flags

from runtime import app
from runtime.config import define_config
from runtime.errors import UsageError

_CONFIG = define_config("configs/counterfactual.py", "Settings: FILE or FILE:SIZE.")
_RECOMMENDER = flags.DEFINE_string("recommender", None, "The folder that retrieval.export wrote.")
_WORKDIR = flags.DEFINE_string("workdir", None, "The folder where results go.")


def main(argv: Sequence[str]) -> None:
    """Checks the flags and runs."""
    del argv
    if not _RECOMMENDER.value:
        raise UsageError("--recommender is required: the folder that retrieval.export wrote")
    # Imported here: --help must not wait for jax.
    from simulation.measurement import run

    run(_CONFIG.value, _RECOMMENDER.value, _WORKDIR.value)


if __name__ == "__main__":
    app.run(main)
