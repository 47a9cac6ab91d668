"""Vectors of items that a model has never heard of: what their content says."""

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from encoders.item_content import Content, standard_of
from encoders.item_tower import ItemTower


class NewItems:
    """Item vectors of content alone, as `ItemTower` has for an item of its catalogue without training events."""

    def __init__(self, content: Content, seen: NDArray[np.bool_]):
        """The content [rows] of a tower's items, and which of them were `seen` [rows] in training."""
        self.owner, self.size = tuple(content.owner), content.embeddings.shape[1]
        self._standard = standard_of(content, seen)
        # Whether training knows a code, [C] of [cardinality]; 0 is never known.
        owners = np.asarray(self.owner, int)
        trained = [content.codes[:, owners == feature][seen] for feature in self.owner]
        sizes = [content.cardinalities[feature] for feature in self.owner]
        self._known = [np.isin(np.arange(size), codes) & (np.arange(size) > 0) for size, codes in zip(sizes, trained)]

    def __call__(self, tower: ItemTower, codes: jax.Array, embeddings: jax.Array) -> jax.Array:
        """Codes [b, C] int32 and embeddings [b, E] as logged, zeros where unknown -> vectors [b, D]; can be traced.

        A code that is not known, or is none of the catalogue's, counts as 0.
        """
        known = jnp.zeros(codes.shape, bool)
        for column, of_code in enumerate(self._known):
            code = codes[:, column]
            within = (code > 0) & (code < len(of_code))
            known = known.at[:, column].set(within & jnp.asarray(of_code)[jnp.where(within, code, 0)])
        same = np.equal.outer(self.owner, self.owner).astype(np.float32)  # [C, C]
        count = known.astype(jnp.float32) @ same  # [b, C]: of the same feature
        shares = jnp.where(known, 1 / jnp.maximum(count, 1), 0.0)
        return tower.content(jnp.where(known, codes, 0), shares, self._standard(embeddings))
