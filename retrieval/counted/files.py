"""What was counted, and how much each part weighs, in the folder of a training run."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from data.timelines import END
from retrieval.counted import Arrays
from runtime import artifact
from runtime.errors import UsageError

FOLDER = "counted"
MOMENTS = ("valid", "test", END)  # each has what is counted of all that lies before it
_KIND, _VERSION = "counted", 4


def write(run: Path, counted: Mapping[str, Mapping[str, Arrays]], *, weights: Mapping[str, float]) -> None:
    """Writes the arrays of each moment and part, and the weights of all."""
    with artifact.writing(run / FOLDER, kind=_KIND, version=_VERSION, fields={"weights": weights}) as folder:
        for moment, parts in counted.items():
            (folder / moment).mkdir()
            for name, arrays in parts.items():
                np.savez(folder / moment / f"{name}.npz", allow_pickle=False, **arrays)


def read(run: Path, until: str) -> tuple[dict[str, Arrays], dict[str, float]]:
    """The arrays of each part, counted of what lies before that moment, and the weights.

    Errors: UsageError where there is nothing; those of `artifact.open_manifest`.
    """
    if not (run / FOLDER).is_dir():
        raise UsageError(f"--checkpoint={run}: a run of an older version, with nothing counted; train it again")
    manifest = artifact.open_manifest(run / FOLDER, kind=_KIND, version=_VERSION, flag="--checkpoint")
    parts: dict[str, Arrays] = {}
    for file in sorted((run / FOLDER / until).glob("*.npz")):
        with np.load(file) as arrays:
            parts[file.stem] = dict(arrays)
    return parts, manifest["weights"]
