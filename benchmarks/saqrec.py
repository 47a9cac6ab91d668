r"""SAQRec's ablations (Table 3 of Zhang et al., CIKM '24) and sweeps (Figure 4), over seeds, in one command.

    python -m satisfaction.train --config=configs/satisfaction.py:kuairand_pure --config.protocol=leave_one_out \
        --data=TIMELINES --workdir=RUN
    python -m satisfaction.train --config=… --config.satisfaction.estimator=naive … --workdir=NAIVE
    python -m benchmarks.saqrec --data=TIMELINES --run=RUN --naive=NAIVE --workdir=DIR --what=ablations,levels,mix,beta

Base embeddings and imputed satisfactions are those of RUN; every variant trains its main model, for each seed and
click loss. Prints for the test clicks each variant's mean over seeds and what the full model gains over it, paired
over users, with 95% bounds; `valid` is the validation MRR, the only figure that may choose anything. Resumes.
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
_LOSSES = flags.DEFINE_list("click_losses", ["exact", "bce"], "Click losses: exact, sampled, bce.")

FULL = "full"
NAIVE = "no_unbiased"
_SHOWN = ("hr@1", "hr@5", "hr@10", "ndcg@5", "ndcg@10", "mrr")
VARIANTS: dict[str, dict[str, dict[str, Any]]] = {
    "ablations": {
        NAIVE: {},
        "no_sid": {"disentanglement": False},
        "no_mlse": {"levels": False},
        "no_mtl": {"satisfaction_weight": 0.0},
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
    import numpy as np

    from benchmarks.saqrec_runs import Bench
    from metrics import intervals
    from runtime.artifact import write_json
    from satisfaction.evaluation import per_user
    from training.compilation import enable_compilation_cache

    enable_compilation_cache()
    bench = Bench(_DATA.value, run=_RUN.value, naive=_NAIVE.value, workdir=Path(_WORKDIR.value))
    wanted = {name: options for what in _WHAT.value for name, options in VARIANTS[what].items()}
    if not _NAIVE.value:
        wanted.pop(NAIVE, None)
    metrics: dict[str, float] = {}
    for loss in _LOSSES.value:
        print(f"\nclick loss {loss}, {_SEEDS.value} seed(s), {bench.describe()}")
        print(" " * 14 + "".join(f"{name:>9}" for name in (*_SHOWN, "valid")) + "   full model's gain in MRR, HR@10")
        full: dict[str, Any] = {}
        for name, options in {FULL: {}, **wanted}.items():
            found = [
                bench.measure(f"{loss}/{name}", {**options, "click_loss": loss}, seed=seed, naive=name == NAIVE)
                for seed in range(_SEEDS.value)
            ]
            # Of each user the mean over seeds: what differs between seeds is no difference between users.
            users = {m: np.mean([per_user(ranks)[m] for ranks, _ in found], axis=0) for m in _SHOWN}
            values = {m: float(users[m].mean()) for m in _SHOWN} | {"valid": float(np.mean([v for _, v in found]))}
            metrics |= {f"{loss}/{name}/{m}": value for m, value in values.items()}
            metrics |= {
                f"{loss}/{name}/{m}/seeds_std": float(np.std([per_user(ranks)[m].mean() for ranks, _ in found]))
                for m in _SHOWN
            }
            gains = ""
            if name == FULL:
                full = users
            else:
                for m in ("mrr", "hr@10"):
                    gain = intervals.difference(users[m], full[m])
                    metrics |= intervals.flat({m: gain}, f"{loss}/gain_over/{name}/")
                    gains += f"   {gain.value:+.4f} ({gain.low:+.4f} to {gain.high:+.4f})"
            print(f"{name:<14}" + "".join(f"{values[m]:>9.4f}" for m in (*_SHOWN, "valid")) + gains, flush=True)
    write_json(Path(_WORKDIR.value) / "metrics.json", metrics)
    print(f"\n{Path(_WORKDIR.value) / 'metrics.json'}")


if __name__ == "__main__":
    app.run(main)
