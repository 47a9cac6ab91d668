"""Adagrad with one number of state a row, for tables of millions of rows."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

_EPSILON = 1e-8


class RowSums(NamedTuple):
    """What is kept of a tree of tables [rows, D]: `sums` [rows, 1] of each."""

    sums: Any


def scale_by_rowwise_adagrad() -> optax.GradientTransformation:
    """Divides the gradient g_i of row i by the root of the sum, over all steps so far, of its mean squares.

        s_i ← s_i + Σ_d g_id² / D,    g_i ← g_i / (√s_i + ε)

    Adagrad (Duchi et al., JMLR 2011) with one sum a row (Gupta et al., JMLR 2014, section 4), as large tables of
    recommenders are trained (Naumov et al. 2019, DLRM; EXACT_ROWWISE_ADAGRAD of FBGEMM and TorchRec). A row whose
    gradient is zero stays as it is and keeps its sum, so that rows may be left out of a step that does not touch them.
    """

    def init(params: Any) -> RowSums:
        return RowSums(jax.tree.map(lambda table: jnp.zeros((table.shape[0], 1), jnp.float32), params))

    def update(updates: Any, state: RowSums, params: Any = None) -> tuple[Any, RowSums]:
        del params
        sums = jax.tree.map(
            lambda s, g: s + jnp.mean(jnp.square(g), axis=1, keepdims=True), state.sums, updates
        )  # [rows, 1]
        return jax.tree.map(lambda s, g: g / (jnp.sqrt(s) + _EPSILON), sums, updates), RowSums(sums)

    return optax.GradientTransformation(init, update)
