"""Item vectors: from ids and content, or from vectors that another model has learned."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from numpy.typing import ArrayLike

from encoders.item_content import Content, tower_features
from nn.constant import Constant


class ItemTower(nnx.Module):
    """Item vectors v_j = id_j · [j seen in training] + Σ_f mean of feature_f's codes of j + W x_j, one row per item.

    The content (creator, cluster, …, an embedding x_j) is shared between items, so an item that no training event
    touched still has a vector: that of its content. A feature's value that no item of the training events has counts as
    unknown: the softmax would only ever have pushed it away. W begins at zero, for the same reason: directions in which
    no item of the training events differs from the others say nothing.
    """

    def __init__(self, content: Content, seen: np.ndarray, *, dim: int, table_rows: int | None = None, rngs: nnx.Rngs):
        """Builds the tables.

        Args:
          content: of the items, [rows]; row 0 is padding, all zeros, and so may the last rows be.
          seen: [rows] bool, items with training events.
          dim: D.
          table_rows: of the table of ids; by default as many as the content has.
          rngs: initial values.
        """
        init = nnx.initializers.normal(dim**-0.5)
        self.dim, self.owner = dim, tuple(content.owner)
        features = tower_features(content, seen)
        self.codes = Constant(jnp.asarray(features["codes"]))
        self.shares = Constant(jnp.asarray(features["shares"]))
        self.seen = Constant(jnp.asarray(features["seen"]))
        rows = len(content.codes) if table_rows is None else table_rows
        self.id_embedding = nnx.Param(init(rngs.params(), (rows, dim), jnp.float32))
        self.feature_embeddings = nnx.List(
            [nnx.Param(init(rngs.params(), (size, dim), jnp.float32)) for size in content.cardinalities]
        )
        self.embedded = Constant(jnp.asarray(features["embedded"]))  # [rows, E]
        # None, not a matrix of no rows: an array of no size cannot be saved.
        size = content.embeddings.shape[1]
        self.projection = nnx.Param(jnp.zeros((size, dim), jnp.float32)) if size else None

    def __call__(self) -> jax.Array:
        """All item vectors, [rows, D]; zero in padding rows."""
        return self.id_embedding[...] * self.seen[...] + self.content(
            self.codes[...], self.shares[...], self.embedded[...]
        )

    def content(self, codes: jax.Array, shares: jax.Array, embedded: jax.Array) -> jax.Array:
        """What content alone says: [n, D] of codes and their shares [n, C] and standardised embeddings [n, E]."""
        vectors = jnp.zeros((codes.shape[0], self.dim), jnp.float32)
        for column, feature in enumerate(self.owner):
            table, share = self.feature_embeddings[feature][...], shares[:, column, None]
            vectors += jnp.where(share > 0, table[codes[:, column]] * share, 0.0)
        return vectors if self.projection is None else vectors + embedded @ self.projection[...]


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
