"""The item tower as a SavedModel of stock operations: vectors of items that came after the export.

Signature `serving_default`, b items:

    codes     [b, C]  int32, of the categories and numbers of each as the manifest's `item_features` has them, 0 unknown
    embedding [b, E]  float32, of the columns that the manifest's `item_embeddings` has, side by side; 0 where unknown
    ->  vector [b, D] what queries are multiplied with; zeros where training knows nothing of what an item is

C or E may be 0. What codes stand for is in item_codes.parquet.
"""

from pathlib import Path

import tensorflow as tf

from nn.tensorflow_graph import XlaFunction, save
from retrieval.checkpoint import Retriever
from retrieval.export.user_tower import item_tower


class ItemVectors(tf.Module):
    """The graph: a tower, asked for as many items as compile once."""

    def __init__(self, retriever: Retriever, *, codes: int, size: int):
        """Args: C and E of its log."""
        super().__init__()
        self.tower = XlaFunction(item_tower(retriever, codes=codes, size=size))
        self.inputs = [tf.TensorSpec([None, codes], tf.int32, "codes")]
        self.inputs.append(tf.TensorSpec([None, size], tf.float32, "embedding"))

    def save(self, folder: Path) -> None:
        """Writes it with the one signature `serving_default`."""

        def vectors(codes, embedding):
            return {"vector": self.tower.in_buckets(codes, embedding)}

        signature = tf.function(vectors, autograph=False).get_concrete_function(*self.inputs)
        save(self, signature, folder)
