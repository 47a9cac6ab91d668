"""Exports a trained ranker: what servers serve, and what runs in JAX without this code.

    python -m ranking.export --data=TIMELINES --checkpoint=TRAIN_WORKDIR --evaluation=EVALUATE_WORKDIR --workdir=DIR

Writes DIR/ranker (ranking/export/folder.py lists its files) and DIR/metrics.json: `p50_ms` and `p99_ms`, the
milliseconds that the SavedModel takes to rank `candidates` items for one user. Probabilities are calibrated, and fused
with the γ, as ranking.evaluate chose on the validation days; with --gamma alone they are as the model gives them.
"""

import os
from collections.abc import Sequence

from absl import flags

from runtime import app
from runtime.errors import UsageError
from runtime.paths import define_path

_DATA = define_path("data", None, "The timelines that the model was trained on.", required=True)
_CHECKPOINT = define_path("checkpoint", None, "The workdir of ranking.train.", required=True)
_EVALUATION = define_path("evaluation", None, "The workdir of ranking.evaluate: γ and calibration.")
_GAMMA = flags.DEFINE_list("gamma", [], "TASK=WEIGHT of the fused score, like EVV=1,GVV=-1, instead of the chosen.")
_WORKDIR = define_path("workdir", None, "The folder where the ranker goes.")
_SERVING = flags.DEFINE_boolean("serving", True, "Write the SavedModel; JAX does not need it.")
_MAX_CANDIDATES = flags.DEFINE_integer("max_candidates", 1000, "The most candidates of a request.")
_WARMUP = flags.DEFINE_list(
    "warmup_batch_sizes",
    ["1", "2", "4", "8", "16", "32", "64"],
    "Numbers of requests that a server compiles as it starts, powers of two; others when they first come.",
)
_REJECT = flags.DEFINE_boolean(
    "reject_unknown_ids", False, "Refuse unknown items and repeated candidates; else they are ignored, and counted."
)


def main(argv: Sequence[str]) -> None:
    """Wires flags to ranking/export/folder.py."""
    del argv
    try:
        warmup_batch_sizes = tuple(int(size) for size in _WARMUP.value)
    except ValueError:
        raise UsageError(f"--warmup_batch_sizes={','.join(_WARMUP.value)}: whole numbers, like 1,8") from None
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow: warnings that call for no action
    # Imported here so that --help does not wait for jax.
    from ranking.export.folder import Options, export
    from training.compilation import enable_compilation_cache

    enable_compilation_cache()
    print(
        export(
            Options(_MAX_CANDIDATES.value, warmup_batch_sizes, _REJECT.value),
            data=_DATA.value,
            trained=_CHECKPOINT.value,
            workdir=_WORKDIR.value,
            gamma=_GAMMA.value,
            evaluation=_EVALUATION.value,
            with_serving=_SERVING.value,
        )
    )
    if _SERVING.value and _WORKDIR.value:
        from nn.any_folder import warning  # TensorFlow is there by now

        print(warning(_WORKDIR.value), end="")


if __name__ == "__main__":
    app.run(main)
