"""SavedModels loaded and asked in a process that cannot import jax, as a server would."""

import pickle
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_SERVER = """
import pickle, sys
sys.modules["jax"] = sys.modules["jaxlib"] = None
import tensorflow as tf
import scann  # registers the ops of models with an index
folder, cases = pickle.load(sys.stdin.buffer)
models = {name: tf.saved_model.load(f"{folder}/{name}") for name in {model for model, _ in cases.values()}}
answers = {}
for case, (model, request) in cases.items():
    try:
        answer = models[model].signatures["serving_default"](**{k: tf.constant(v) for k, v in request.items()})
        answers[case] = {name: value.numpy() for name, value in answer.items()}
    except tf.errors.OpError as error:
        answers[case] = (type(error).__name__, error.message)
pickle.dump(answers, sys.stdout.buffer)
"""


def ask(folder: Path, cases: Mapping[Any, tuple[str, Mapping[str, Any]]]) -> dict[Any, Any]:
    """For each case, (model's folder below `folder`, request): the outputs, or the error's type and message."""
    asked = pickle.dumps((str(folder), dict(cases)))
    done = subprocess.run([sys.executable, "-c", _SERVER], input=asked, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    return pickle.loads(done.stdout)
