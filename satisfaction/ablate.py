r"""SAQRec without its parts, and at other settings: Table 3 and Figure 4 of Zhang et al., CIKM '24, over seeds.

    python -m satisfaction.ablate --data=TIMELINES --run=RUN --workdir=DIR --what=ablations,levels,mix,beta

RUN is a satisfaction.train on these timelines: its base embeddings and imputed satisfactions are what each variant of
the main model is trained on, for each seed and click loss, with the GRUs of satisfaction/saqrec/alignment.py beside the
full model, which have all that it has. "Without the unbiased model" fits a naive satisfaction model on the same
embeddings first. Test clicks are ranked among 99 sampled items, by RUN's protocol; --refit trains each model once more,
with the validation clicks, in twice the time.

Writes metrics.json: <click loss>/<row>/ and hr@1|5|10, ndcg@5|10, mrr, means over seeds with 95% bounds over users and
seeds under /low and /high, and of several seeds their standard deviation under /seeds_std; valid/mrr, which may choose
anything; <click loss>/gain_over/<row>/, what the full model gains over the row, paired over users. Rows: full, the
variants, base, gru_softmax, popularity, item_knn, item_knn_popularity. Killed at any point, the same command goes on,
and metrics.partial.json has the rows that are done; more of --what, --seeds or --click_losses may follow in DIR.
"""

from collections.abc import Sequence

from absl import flags

from runtime import app
from runtime.errors import UsageError
from runtime.paths import define_path

_DATA = define_path("data", None, "The timelines of RUN.", required=True)
_RUN = define_path("run", None, "Workdir of a satisfaction.train; its step align is not needed.", required=True)
_WORKDIR = define_path("workdir", None, "Folder for the trained variants and metrics.json.", required=True)
_WHAT = flags.DEFINE_list("what", ["ablations"], "Of ablations, levels (N_I), mix (N_mix), beta; or single variants.")
_SEEDS = flags.DEFINE_integer("seeds", 3, "Seeds of each variant.", lower_bound=1)
_LOSSES = flags.DEFINE_list("click_losses", ["exact", "bce"], "Click losses: exact, sampled, bce (the paper's).")
_REFIT = flags.DEFINE_boolean("refit", False, "Measure what has learned the validation clicks too.")


def main(argv: Sequence[str]) -> None:
    """Checks the flags and runs."""
    del argv
    from satisfaction.experiments.variants import variants_of

    variants = variants_of(_WHAT.value)
    if not _LOSSES.value:
        raise UsageError("--click_losses: name one at least")
    # Imported here: --help must not wait for jax.
    from satisfaction.experiments.variants_table import run
    from training.compilation import enable_compilation_cache

    enable_compilation_cache()
    run(
        data=_DATA.value,
        run=_RUN.value,
        workdir=_WORKDIR.value,
        variants=variants,
        click_losses=_LOSSES.value,
        seeds=_SEEDS.value,
        refit=_REFIT.value,
    )


if __name__ == "__main__":
    app.run(main)
