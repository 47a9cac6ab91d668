"""A digest for each leaf of a checkpoint, computed on the device, whatever the sharding.

A checkpoint whose bytes changed on disk restores without an error: only a digest tells.
"""

import math
from collections.abc import Mapping

import jax
import jax.numpy as jnp

_WORDS = {1: jnp.uint8, 2: jnp.uint16, 4: jnp.uint32, 8: jnp.uint32}  # bytes of an element -> how its bits are read


@jax.jit
def digests(leaves: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
    """A uint32 for each leaf: sum_i mix(word_i XOR mix(i + 1)) mod 2^32, where i is the position of a word in the leaf.

    `mix` is the finalizer of MurmurHash3 (Appleby, 2011), which maps uint32 one to one: a change within one word always
    changes the digest, any other change with probability 1 - 2^-32. A sum does not depend on the order of its terms,
    so the digest of an array split over devices or hosts is that of the whole array.
    """
    return {name: _digest(leaf) for name, leaf in leaves.items()}


def _digest(leaf: jax.Array) -> jax.Array:
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        leaf = jax.random.key_data(leaf)
    if leaf.dtype == jnp.bool_:
        leaf = leaf.astype(jnp.uint8)
    words = jax.lax.bitcast_convert_type(leaf, _WORDS[leaf.dtype.itemsize]).astype(jnp.uint32)
    # Positions from one iota a dimension: flattening the words would gather an array that is split over devices.
    position = jnp.ones((), jnp.uint32)
    for dimension in range(words.ndim):
        stride = math.prod(words.shape[dimension + 1 :])
        position += jax.lax.broadcasted_iota(jnp.uint32, words.shape, dimension) * jnp.uint32(stride % 2**32)
    return jnp.sum(_mix(words ^ _mix(position)), dtype=jnp.uint32)


def _mix(x: jax.Array) -> jax.Array:
    x = (x ^ (x >> 16)) * jnp.uint32(0x85EBCA6B)
    x = (x ^ (x >> 13)) * jnp.uint32(0xC2B2AE35)
    return x ^ (x >> 16)
