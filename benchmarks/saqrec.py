r"""SAQRec's ablations (Table 3 of Zhang et al., CIKM '24) and sweeps (Figure 4), over seeds, in one command.

    python -m satisfaction.train --config=configs/satisfaction.py:kuairand_pure --config.protocol=leave_one_out \
        --data=TIMELINES --workdir=RUN
    python -m satisfaction.train --config=… --config.satisfaction.estimator=naive … --workdir=NAIVE
    python -m benchmarks.saqrec --data=TIMELINES --run=RUN --naive=NAIVE --workdir=DIR --what=ablations,levels,mix,beta

Base embeddings and imputed satisfactions are those of RUN; every variant trains its main model, for each seed and
click loss, and the plain GRU for each seed. Prints for the test clicks each row's mean over seeds, popularity and
item-kNN among them, and what the full model gains over it, paired over users, with 95% bounds; `valid` is the
validation MRR, the only figure that may choose anything. --refit trains each model once more with the validation
clicks, in twice the time. Resumes.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags

from runtime import app
from runtime.errors import UsageError

_DATA = flags.DEFINE_string("data", None, "The timelines of RUN.", required=True)
_RUN = flags.DEFINE_string("run", None, "A finished satisfaction.train.", required=True)
_NAIVE = flags.DEFINE_string("naive", "", "The same with --config.satisfaction.estimator=naive: the first ablation.")
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder for the variants and metrics.json.", required=True)
_WHAT = flags.DEFINE_list("what", ["ablations"], "Of ablations, levels (N_I), mix (N_mix), beta.")
_SEEDS = flags.DEFINE_integer("seeds", 3, "Seeds of each variant.", lower_bound=1)
_REFIT = flags.DEFINE_boolean("refit", False, "Measure what has learned the validation clicks too.")
_LOSSES = flags.DEFINE_list("click_losses", ["exact", "bce"], "Click losses: exact, sampled, bce.")

FULL = "full"
NAIVE = "no_unbiased"
VARIANTS: dict[str, dict[str, dict[str, Any]]] = {
    "ablations": {
        NAIVE: {},
        "no_sid": {"disentanglement": False},
        "no_mlse": {"levels": False},
        "no_mtl": {"satisfaction_weight": 0.0},
        "no_popularity": {"popularity": False},  # what goes beyond the paper
    },
    "levels": {f"N_I={n}": {"num_levels": n} for n in (1, 3, 5, 7, 9, 11)},
    "mix": {f"N_mix={n}": {"correct_from": n} for n in (0, 1, 2, 3, 4, 5)},
    "beta": {f"beta={weight:g}": {"satisfaction_weight": weight} for weight in (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)},
}


def main(argv: Sequence[str]) -> None:
    """Trains what is missing, measures, prints."""
    del argv
    for what in _WHAT.value:
        if what not in VARIANTS:
            raise UsageError(f"--what={what}: of {', '.join(VARIANTS)}")
    # Imported here so that --help does not wait for them.
    from benchmarks.saqrec_runs import SHOWN, Bench, Measured, row
    from runtime.artifact import write_json
    from satisfaction.alignment import GRU, SAQREC
    from training.compilation import enable_compilation_cache

    enable_compilation_cache()
    folder = Path(_WORKDIR.value)
    bench = Bench(_DATA.value, run=_RUN.value, naive=_NAIVE.value, refit=_REFIT.value, workdir=folder)
    wanted = {name: options for what in _WHAT.value for name, options in VARIANTS[what].items()}
    if not _NAIVE.value:
        wanted.pop(NAIVE, None)
    metrics: dict[str, float] = {}
    beside = {name: [Measured(ranks, float("nan"))] for name, ranks in bench.baselines().items()}
    for loss in _LOSSES.value:
        print(f"\nclick loss {loss}, {_SEEDS.value} seed(s), {bench.describe()}")
        print(" " * 14 + "".join(f"{name:>9}" for name in (*SHOWN, "valid")) + "   full model's gain in MRR, HR@10")
        full: dict[str, Any] = {}
        for name, options in {FULL: {}, **wanted}.items():
            found = [
                bench.measure(
                    f"{loss}/{name}",
                    {**options, "click_loss": loss},
                    seed=seed,
                    naive=name == NAIVE,
                    gru=name == FULL and loss == _LOSSES.value[0],  # its click loss is always the exact one
                )
                for seed in range(_SEEDS.value)
            ]
            if GRU in found[0]:
                beside[GRU] = [each[GRU] for each in found]
            rows = {name: [each[SAQREC] for each in found]} | (beside if name == FULL else {})
            for label, measured in rows.items():
                users, figures, line = row(label, measured, full)
                full = full or users
                metrics |= {f"{loss}/{key}": value for key, value in figures.items()}
                print(line, flush=True)
    write_json(folder / "metrics.json", metrics)
    print(f"\n{folder / 'metrics.json'}")


if __name__ == "__main__":
    app.run(main)
