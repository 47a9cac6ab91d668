"""Whether answers of few tell about all: estimates of satisfaction on synthetic feeds, held against their truth.

  python -m benchmarks.unbiasedness --workdir=runs/unbiasedness

For each seed a feed is generated (configs/world.py, --config), whose truth knows every propensity and satisfaction, and
models are trained on its log alone (configs/satisfaction.py). Two things are then measured over all impressions:

- the mean satisfaction by each estimator, with true and with estimated propensities, against the true mean;
- how well imputed satisfactions order the true ones (AUC), by the estimator that trained the model.

Writes metrics.json, clipping.svg (what clipping costs in bias and wins in variance) and prints both tables. A seed that
is done is kept in WORKDIR/seed_N.json, so that the same command goes on where it was stopped.
"""

import shutil
from collections.abc import Sequence

from absl import flags
from ml_collections import ConfigDict

from runtime import app
from runtime.config import define_config
from runtime.paths import define_path

_CONFIG = define_config("configs/world.py:demo", "The synthetic feed; its seed is the first of the run.")
_WORKDIR = define_path("workdir", None, "The folder where results go.", required=True)
_SEEDS = flags.DEFINE_integer("seeds", 10, "Feeds to generate.", lower_bound=2)
_STOP_AFTER = flags.DEFINE_integer("stop_after", 0, "Seeds to do in this call, 0 for all that are left.")


def main(argv: Sequence[str]) -> None:
    """Runs the seeds that are left, then sums up."""
    del argv
    # Imported here: --help must not wait for jax.
    from benchmarks.unbiasedness.measurement import measure, plot, summarise, table
    from configs.satisfaction import get_config
    from runtime.artifact import read_json, write_json
    from runtime.workdir import METRICS, open_workdir
    from training.compilation import enable_compilation_cache, set_cpu_devices

    set_cpu_devices(1)
    enable_compilation_cache()
    settings = get_config("demo")
    # Enough for what is measured here: what content a user likes is learned first.
    settings.base.num_epochs = 2
    settings.doubly_robust.num_steps = 300
    folder = open_workdir(
        _WORKDIR.value, {"world": _CONFIG.value.to_dict(), "settings": settings.to_dict(), "seeds": _SEEDS.value}
    )
    files = [folder / f"seed_{n}.json" for n in range(_SEEDS.value)]
    left = [n for n, file in enumerate(files) if not file.exists()]
    for n in left[: _STOP_AFTER.value or None]:
        world = ConfigDict(_CONFIG.value.to_dict())
        world.seed += n
        scratch = folder / "scratch"
        shutil.rmtree(scratch, ignore_errors=True)
        write_json(files[n], measure(world, settings, scratch))
        shutil.rmtree(scratch)
        print(f"seed {n} done: {files[n]}")
    done = [read_json(file) for file in files if file.exists()]
    if len(done) < _SEEDS.value:
        print(f"{len(done)} of {_SEEDS.value} seeds done; the same command goes on: {folder}")
        return
    figures = summarise(done)
    plot(figures, folder / "clipping.svg")
    write_json(folder / METRICS, figures)
    print(table(figures, len(done)))
    print(f"unbiasedness: {folder / METRICS}, {folder / 'clipping.svg'}")


if __name__ == "__main__":
    app.run(main)
