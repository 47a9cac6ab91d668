"""Item vectors: from ids and content, or from vectors that another model has learned."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from numpy.typing import ArrayLike

from nn.constant import Constant


def trained_codes(codes: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Codes [rows, F] with 0, unknown, for those that no row has which was `seen` [rows] in training."""
    known = [np.isin(column, column[seen]) for column in codes.T]
    return np.where(np.stack(known, axis=1), codes, 0) if known else codes


class ItemTower(nnx.Module):
    """Item vectors v_j = id_j · [j seen in training] + Σ_f feature_f(j), one row per item of the catalogue.

    The content features (creator, cluster, …) are shared between items, so an item that no training event touched
    still has a vector: that of its content. A feature's value that no item of the training events has counts as
    unknown: the softmax would only ever have pushed it away.
    """

    def __init__(
        self, features: np.ndarray, cardinalities: Sequence[int], seen: np.ndarray, *, dim: int, rngs: nnx.Rngs
    ):
        """Builds the tables.

        Args:
          features: [rows, F] int32, 0 unknown; row 0 is padding, all zeros, and so may the last rows be.
          cardinalities: [F], one more than the largest value of each feature.
          seen: [rows] bool, items with training events.
          dim: D.
          rngs: initial values.
        """
        init = nnx.initializers.normal(dim**-0.5)
        self.dim = dim
        self.features = Constant(jnp.asarray(trained_codes(features, seen), jnp.int32))
        self.seen = Constant(jnp.asarray(seen, jnp.float32)[:, None])
        self.id_embedding = nnx.Param(init(rngs.params(), (len(features), dim), jnp.float32))
        self.feature_embeddings = nnx.List(
            [nnx.Param(init(rngs.params(), (size, dim), jnp.float32)) for size in cardinalities]
        )

    def __call__(self) -> jax.Array:
        """All item vectors, [rows, D]; zero in padding rows."""
        vectors = self.id_embedding[...] * self.seen[...]
        for column, table in enumerate(self.feature_embeddings):
            index = self.features[...][:, column]
            vectors += jnp.where((index > 0)[:, None], table[...][index], 0.0)
        return vectors


class ItemTable(nnx.Module):
    """Item vectors that start from given ones and are trained on; those of items that are not known are zero."""

    def __init__(self, vectors: ArrayLike, known: np.ndarray):
        """Args: vectors [rows, D], row 0 padding; known [rows] bool, False where nothing was ever trained."""
        self.embedding = nnx.Param(jnp.asarray(vectors, jnp.float32))
        self.known = Constant(jnp.asarray(known)[:, None])

    @property
    def dim(self) -> int:
        """D."""
        return self.embedding[...].shape[1]

    def __call__(self) -> jax.Array:
        """All item vectors, [rows, D]; zero in row 0."""
        return jnp.where(self.known[...], self.embedding[...], 0.0).at[0].set(0.0)
