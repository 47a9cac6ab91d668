"""Warm-up requests, read back through message types declared as TensorFlow Serving declares them."""

import numpy as np
import tensorflow as tf
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from tensorflow.core.framework import tensor_pb2

from nn import warmup

# apis/prediction_log.proto and apis/predict.proto of TensorFlow Serving, the fields that matter here. A message field
# and a bytes field are the same on the wire, so the tensors are left as bytes.
PROTO = {
    "PredictionLog": [("predict_log", 6, "PredictLog")],
    "PredictLog": [("request", 1, "PredictRequest")],
    "PredictRequest": [("inputs", 2, "Input")],
    "Input": [("key", 1, "string"), ("value", 2, "bytes")],
}


def prediction_log_class():
    types = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="serving.proto", package="serving", syntax="proto3")
    for name, fields in PROTO.items():
        message = file.message_type.add(name=name)
        for field, number, kind in fields:
            label = types.LABEL_REPEATED if field == "inputs" else types.LABEL_OPTIONAL
            if kind in PROTO:
                kinds = {"type": types.TYPE_MESSAGE, "type_name": f".serving.{kind}"}
            else:
                kinds = {"type": types.TYPE_STRING if kind == "string" else types.TYPE_BYTES}
            message.field.add(name=field, number=number, label=label, **kinds)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("serving.PredictionLog"))


def test_requests_read_back(tmp_path):
    requests = [
        {"ids": tf.constant([["a", "é"]] * size), "none": tf.zeros((size, 0), tf.int64), "k": tf.constant(7)}
        for size in (1, 300)
    ]
    warmup.write(tmp_path, requests)
    records = list(tf.data.TFRecordDataset(str(tmp_path / "assets.extra" / "tf_serving_warmup_requests")))
    assert len(records) == len(requests)
    for record, request in zip(records, requests):
        log = prediction_log_class().FromString(record.numpy())
        read = {
            entry.key: tf.make_ndarray(tensor_pb2.TensorProto.FromString(entry.value))
            for entry in log.predict_log.request.inputs
        }
        assert read.keys() == request.keys()
        for name, tensor in request.items():
            np.testing.assert_array_equal(read[name], tensor.numpy())
            assert read[name].dtype == tensor.numpy().dtype
