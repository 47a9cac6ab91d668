"""Loads a SavedModel from a folder of any name: TensorFlow takes the names of its folders for a pattern."""

import os
import tempfile
from pathlib import Path
from typing import Any

import tensorflow as tf

PATTERNS = "[]*?\\"  # what servers, who load it without this file, cannot have in the path


def load(folder: str | os.PathLike[str]) -> Any:
    """The SavedModel at `folder`, loaded by way of a link that has no character of a pattern in its path."""
    with tempfile.TemporaryDirectory() as place:
        link = Path(place) / "model"
        link.symlink_to(Path(folder).absolute(), target_is_directory=True)
        return tf.saved_model.load(str(link))


def warning(folder: str | os.PathLike[str]) -> str:
    """The line for whoever is to serve the models below `folder`; nothing where every server can load them."""
    found = [character for character in PATTERNS if character in str(Path(folder).absolute())]
    remedy = "serve a copy that lies elsewhere"
    return f"{folder}: servers take {' '.join(found)} in a path for a pattern; {remedy}\n" if found else ""
