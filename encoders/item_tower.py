"""Item vectors: from ids and content, or from vectors that another model has learned."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax
from numpy.typing import ArrayLike

from encoders.item_content import Content, tower_features
from nn.constant import Constant

_BLOCK = 1 << 18  # rows of a table that are drawn at a time


class ItemTower(nnx.Module):
    """Item vectors v_j = id_j · [j seen in training] + Σ_f mean of feature_f's codes of j + W x_j, one row per item.

    The content (creator, cluster, …, an embedding x_j) is shared between items, so an item that no training event
    touched still has a vector: that of its content. A feature's value that no item of the training events has counts as
    unknown: the softmax would only ever have pushed it away. W begins at zero, for the same reason: directions in which
    no item of the training events differs from the others say nothing.

    With hashed ids (encoders/hashed_ids.py) id_j is the sum of the K rows that item j shares with others. The vectors
    may go on with numbers that are not learned, such as those of retrieval/trends.py.
    """

    def __init__(
        self,
        content: Content,
        seen: np.ndarray,
        *,
        dim: int,
        table_rows: int | None = None,
        hashed: np.ndarray | None = None,
        columns: np.ndarray | None = None,
        rngs: nnx.Rngs,
    ):
        """Builds the tables.

        Args:
          content: of the items, [rows]; row 0 is padding, all zeros, and so may the last rows be.
          seen: [rows] bool, items with training events.
          dim: D.
          table_rows: of the table of ids; by default as many as the content has.
          hashed: [rows, K], the rows of that table whose sum is an item's id; by default its own row.
          columns: [rows, R], what the vectors go on with; by default nothing.
          rngs: initial values.
        """
        self.dim, self.owner = dim, tuple(content.owner)
        features = tower_features(content, seen)
        self.codes = Constant(jnp.asarray(features["codes"]))
        self.shares = Constant(jnp.asarray(features["shares"]))
        self.seen = Constant(jnp.asarray(features["seen"]))
        rows = len(content.codes) if table_rows is None else table_rows
        self.hashed = None if hashed is None else Constant(jnp.asarray(hashed, jnp.int32))
        self.columns = None if columns is None else Constant(jnp.asarray(columns, jnp.float32))
        # An id's vector has the same scale however many rows it sums.
        summed = 1 if hashed is None else hashed.shape[1]
        self.id_embedding = nnx.Param(_first_values(rngs.params(), rows, dim, (dim * summed) ** -0.5))
        self.feature_embeddings = nnx.List(
            [nnx.Param(_first_values(rngs.params(), size, dim, dim**-0.5)) for size in content.cardinalities]
        )
        self.embedded = Constant(jnp.asarray(features["embedded"]))  # [rows, E]
        # None, not a matrix of no rows: an array of no size cannot be saved.
        size = content.embeddings.shape[1]
        self.projection = nnx.Param(jnp.zeros((size, dim), jnp.float32)) if size else None

    def __call__(self) -> jax.Array:
        """All item vectors, [rows, D + R]; zero in padding rows."""
        table = self.id_embedding[...]
        ids = table if self.hashed is None else table[self.hashed[...]].sum(axis=1)  # [rows, D]
        vectors = ids * self.seen[...] + self.content(self.codes[...], self.shares[...], self.embedded[...])
        return vectors if self.columns is None else jnp.concatenate([vectors, self.columns[...]], axis=1)

    def content(self, codes: jax.Array, shares: jax.Array, embedded: jax.Array) -> jax.Array:
        """What content alone says: [n, D] of codes and their shares [n, C] and standardised embeddings [n, E]."""
        vectors = jnp.zeros((codes.shape[0], self.dim), jnp.float32)
        for column, feature in enumerate(self.owner):
            table, share = self.feature_embeddings[feature][...], shares[:, column, None]
            vectors += jnp.where(share > 0, table[codes[:, column]] * share, 0.0)
        return vectors if self.projection is None else vectors + embedded @ self.projection[...]


def _first_values(key: jax.Array, rows: int, dim: int, scale: float) -> jax.Array:
    # Normal values [rows, dim]. What it takes to draw them is several times the table: a large one is drawn in blocks.
    init = nnx.initializers.normal(scale)
    if rows <= _BLOCK:
        return init(key, (rows, dim), jnp.float32)

    def drawn(block: jax.Array, table: jax.Array) -> jax.Array:
        values = init(jax.random.fold_in(key, block), (_BLOCK, dim), jnp.float32)
        return lax.dynamic_update_slice_in_dim(table, values, block * _BLOCK, axis=0)  # the last one is moved back

    return lax.fori_loop(0, -(-rows // _BLOCK), drawn, jnp.zeros((rows, dim), jnp.float32))


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
