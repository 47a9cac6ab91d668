"""Opens the files of an exported model, and refuses in one line what is damaged or not as its manifest says.

Anybody may write such a folder, so nothing in it is taken for granted: definitions of feedback, functions saved by
jax.export, and arrays are checked here, when a model is loaded. `model` is what the messages call it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.export
import numpy as np

from data.feedback import BITS, DWELL_EDGES_MS
from runtime.artifact import MANIFEST, open_manifest
from runtime.errors import DataError, UsageError

DEFINITIONS = {"feedback_bits": dict(BITS), "dwell_edges_ms": list(DWELL_EDGES_MS)}  # what events mean to a model


def read_manifest(
    folder: Path,
    *,
    kind: str,
    version: int,
    model: str,
    fields: Sequence[str],
    definitions: Mapping[str, Any] = DEFINITIONS,
    flag: str,
) -> dict[str, Any]:
    """The manifest of the model in `folder`, which has all of `fields` and shares this code's `definitions`.

    Errors: UsageError as `open_manifest`, and where a definition differs; DataError where a field is missing.
    """
    manifest = open_manifest(folder, kind=kind, version=version, flag=flag)
    missing = [name for name in (*fields, *definitions) if name not in manifest]
    if missing:
        raise DataError(f"{folder / MANIFEST}: no field '{missing[0]}'; export the {model} again")
    for name, ours in definitions.items():
        if manifest[name] != ours:
            raise UsageError(
                f"{flag}={folder}: {name} is {manifest[name]}, this code's is {ours}; export it again with this code"
            )
    return manifest


def load_function(path: Path, *, model: str) -> jax.export.Exported:
    """The function saved at `path`, for the kind of device that is here. Errors: DataError."""
    try:
        exported = jax.export.deserialize(bytearray(path.read_bytes()))
    except FileNotFoundError:
        raise DataError(f"{path}: missing; export the {model} again") from None
    except Exception as error:  # the flatbuffer reader raises whatever it trips over
        raise DataError(f"{path}: not a function saved by jax.export ({error}); export the {model} again") from None
    backend = jax.default_backend().replace("gpu", "cuda")
    if backend not in exported.platforms:
        raise DataError(f"{path}: exported for {', '.join(exported.platforms)}; export it for {backend} too")
    return exported


def load_weights(folder: Path, exported: jax.export.Exported, path: Path, *, model: str) -> dict[str, jax.Array]:
    """The arrays that the program saved at `path` takes first, {name: array}, each of `folder`/name.npy.

    Memory-mapped, where the device is the machine itself: read when they are needed, and shared by whoever reads them.
    Errors: DataError where the program takes none, or a file is damaged or of another shape or type.
    """
    (first, *_), _ = jax.tree.unflatten(exported.in_tree, exported.in_avals)
    if not isinstance(first, dict) or not all(isinstance(name, str) for name in first):
        raise DataError(f"{path}: takes no dictionary of weights first, which may be empty; export the {model} again")
    for name in first:
        if not (folder / f"{name}.npy").resolve().is_relative_to(folder.resolve()):
            raise DataError(f"{path}: takes a weight '{name}' that lies elsewhere; export the {model} again")
    return {
        name: jax.device_put(load_array(folder / f"{name}.npy", aval.shape, model=model, dtype=aval.dtype))
        for name, aval in first.items()
    }


def load_array(path: Path, shape: tuple[int, ...], *, model: str, dtype: Any = np.float32) -> np.ndarray:
    """The array at `path`, memory-mapped. Errors: DataError where it is damaged or of another shape or type."""
    try:
        array = np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path}: cannot be read ({error}); export the {model} again") from None
    if array.shape != shape or array.dtype != dtype:
        wanted = f"{np.dtype(dtype)} {shape}"
        raise DataError(f"{path}: {array.dtype} {array.shape}, not {wanted}; export the {model} again")
    return array
