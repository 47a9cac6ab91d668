"""Warm-up requests of a SavedModel: TensorFlow Serving replays them before it answers, so that no user waits for XLA.

The file is a TFRecord of `tensorflow.serving.PredictionLog` messages. Their Python classes come with a package that
wants a TensorFlow of its own; here every field is length-delimited, so the encoding is three lines.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

FILE = Path("assets.extra") / "tf_serving_warmup_requests"

# Field numbers: PredictionLog.predict_log, PredictLog.request, PredictRequest.inputs (a map: key 1, value 2).
_PREDICT_LOG, _REQUEST, _INPUTS, _KEY, _VALUE = 6, 1, 2, 1, 2


def write(saved_model: Path, requests: Iterable[Mapping[str, Any]]) -> None:
    """Adds `requests`, each input name -> tensor, to the SavedModel at `saved_model`."""
    path = saved_model / FILE
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for request in requests:
            writer.write(prediction_log(request))


def repeated(request: Mapping[str, Any], size: int) -> dict[str, tf.Tensor]:
    """`size` users' requests, all of them that of one user."""
    return {name: tf.repeat(column, size, axis=0) for name, column in request.items()}


def prediction_log(request: Mapping[str, Any]) -> bytes:
    """A PredictionLog of one PredictRequest to the default signature, in protocol buffer wire format."""
    inputs = b""
    for name, tensor in request.items():
        value = tf.make_tensor_proto(tensor).SerializeToString()
        inputs += _field(_INPUTS, _field(_KEY, name.encode()) + _field(_VALUE, value))
    return _field(_PREDICT_LOG, _field(_REQUEST, inputs))


def _field(number: int, payload: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(payload)) + payload


def _varint(value: int) -> bytes:
    low, rest = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + _varint(rest) if rest else bytes([low])
