r"""True satisfaction of what SAQRec recommends on the synthetic feed, against everything simpler, in one command.

    python -m simulation.world --config=configs/world.py:demo --workdir=runs/world
    python -m data.prepare --config=configs/data.py:tables --data=runs/world/tables --workdir=runs/timelines
    python -m satisfaction.train --config=configs/satisfaction.py:demo --config.protocol=leave_one_out \
        --data=runs/timelines --workdir=runs/satisfaction
    python -m satisfaction.ablate --data=runs/timelines --run=runs/satisfaction --workdir=runs/ablations \
        --click_losses=exact --seeds=1
    python -m benchmarks.clickbait --world=runs/world --data=runs/timelines --run=runs/satisfaction \
        --ablations=runs/ablations --workdir=DIR

For each user, at the moment of the held-out click: the top 10 of the items not clicked yet, and how likely, by the
feed's own behaviour model, the user would be satisfied with each. No model has ever seen this truth. SAQRec ranks by
click logit + w · log predicted satisfaction; w = 0 is the paper's. The largest w of the grid that keeps 98% of the base
recommender's HR@10 on the validation clicks is chosen; the test clicks are read once, after that. Where no w keeps as
much that is said, and w = 0 is measured alone. Beside it popularity, item-kNN, the base recommender, the plain GRU and,
with --ablations, SAQRec without its parts.

Writes metrics.json: `<row>/hr@10` and `<row>/satisfaction@10`, and `<saqrec row>/gain_over/<row>/`: what SAQRec's
satisfaction@10 gains over each row and the relative change of HR@10, paired over users, 95% bounds under /low, /high.
"""

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from runtime import app
from runtime.paths import define_path

_WORLD = define_path("world", None, "Workdir of simulation.world, with its truth.", required=True)
_DATA = define_path("data", None, "The timelines made of its tables.", required=True)
_RUN = define_path("run", None, "A finished satisfaction.train on them.", required=True)
_ABLATIONS = define_path("ablations", None, "A finished satisfaction.ablate on that run, for more rows.")
_WORKDIR = define_path("workdir", None, "Folder for metrics.json.", required=True)
_KEEP = flags.DEFINE_float("keep", 0.98, "Share of the base recommender's HR@10 that has to be kept.")


def main(argv: Sequence[str]) -> None:
    """Chooses the weight on the validation clicks, measures on the test clicks, prints."""
    del argv
    # Imported here so that --help does not wait for them.
    from benchmarks.clickbait.comparison import compare, table
    from runtime.artifact import write_json
    from training.compilation import enable_compilation_cache

    enable_compilation_cache()
    metrics = compare(
        world=_WORLD.value, data=_DATA.value, run=_RUN.value, ablations=_ABLATIONS.value, keep=_KEEP.value
    )
    folder = Path(_WORKDIR.value)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "metrics.json", metrics)
    print(table(metrics))
    print(folder / "metrics.json")


if __name__ == "__main__":
    app.run(main)
