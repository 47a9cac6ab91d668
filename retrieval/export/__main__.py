"""Exports a trained model: what simulation measures, and the index and SavedModels that servers serve.

    python -m retrieval.export --data=TIMELINES --checkpoint=TRAIN_WORKDIR --workdir=DIR

Writes DIR/recommender (retrieval/export/folder.py lists its files) and DIR/metrics.json: `ann/recall@100` of the index
against exact search, `ann/qps` on one thread, and the milliseconds that one request takes, `exact/p50_ms`,
`exact/p99_ms`, `ann/p50_ms`, `ann/p99_ms`. Of the config only `export` counts; the rest is the checkpoint's. With
--verdict=FILE the manifest carries what a gate found of this checkpoint (verdict.json of simulation.counterfactual or
pipelines.gate), with --left_out=FILE what a pipeline has left out as the log could not carry it.
"""

import os
from collections.abc import Sequence

from absl import flags

from runtime import app
from runtime.config import define_config
from runtime.paths import define_path

_CONFIG = define_config("configs/retrieval.py", "Settings, as in --config.export.recall_floor=0.9.")
_DATA = define_path("data", None, "The timelines that the model was trained on.", required=True)
_CHECKPOINT = define_path("checkpoint", None, "The workdir of retrieval.train.", required=True)
_WORKDIR = define_path("workdir", None, "The folder where the recommender goes.")
_SERVING = flags.DEFINE_boolean("serving", True, "Write the index and the SavedModels; simulation needs neither.")
_COUNTED_UNTIL = flags.DEFINE_enum(
    "counted_until",
    "end",
    ["valid", "test", "end"],
    "Where what is popular and what is counted beside the towers ends: with the log, as servers want it, or where the "
    "test days begin, as whoever measures on these has to, or the validation days, as SAQRec's base has to.",
)
_VERDICT = define_path("verdict", None, "verdict.json of a gate, for the manifest.")
_LEFT_OUT = define_path("left_out", None, "JSON of what the log could not carry, for the manifest.")


def main(argv: Sequence[str]) -> None:
    """Wires flags to retrieval/export/folder.py."""
    del argv
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow and ScaNN: warnings that call for no action
    # Imported here so that --help does not wait for jax.
    from retrieval.export.folder import export
    from training.compilation import enable_compilation_cache

    enable_compilation_cache()
    print(
        export(
            _CONFIG.value.export,
            data=_DATA.value,
            trained=_CHECKPOINT.value,
            workdir=_WORKDIR.value,
            with_serving=_SERVING.value,
            counted_until=_COUNTED_UNTIL.value,
            verdict=_VERDICT.value,
            left_out=_LEFT_OUT.value,
        )
    )
    if _SERVING.value and _WORKDIR.value:
        from nn.any_folder import warning  # TensorFlow is there by now

        print(warning(_WORKDIR.value), end="")


if __name__ == "__main__":
    app.run(main)
