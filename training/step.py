"""The training state, and one jitted pure function (state, batch, key) -> (state, metrics)."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import lax
from jax.sharding import Mesh

from training.mesh import Rules, parameter_shardings, replicated
from training.row_tables import RowTables

LossFn = Callable[[Any, Mapping[str, jax.Array], jax.Array], tuple[jax.Array, Mapping[str, jax.Array]]]
TrainStep = Callable[["TrainState", Mapping[str, jax.Array], jax.Array], tuple["TrainState", dict[str, jax.Array]]]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TrainState:
    """All that changes while training. `step` counts the updates done; `params` is any pytree of arrays."""

    step: jax.Array
    params: Any
    opt_state: Any


def create_state(
    init_fn: Callable[[jax.Array], Any],
    optimizer: optax.GradientTransformation,
    *,
    key: jax.Array,
    mesh: Mesh,
    rules: Rules = (),
) -> TrainState:
    """The state before the first step, from `init_fn(key) -> params`, each leaf born where `rules` put it.

    Moments of the optimizer lie where their parameter lies; its counters are copied to every device.
    """

    def init(key: jax.Array) -> TrainState:
        # Of a dtype that is not weak, as an initializer's may be: the first step's results are not, and the second
        # step would compile again.
        params = jax.tree.map(lambda leaf: lax.convert_element_type(leaf, leaf.dtype), init_fn(key))
        return TrainState(step=jnp.zeros((), jnp.int32), params=params, opt_state=optimizer.init(params))

    shapes = jax.eval_shape(init, key)
    params = parameter_shardings(mesh, shapes.params, rules)
    opt_state = optax.tree_map_params(
        optimizer,
        lambda moment, sharding: moment if _is_left_out(moment) else sharding,
        shapes.opt_state,
        params,
        transform_non_params=lambda _: replicated(mesh),
        is_leaf=_is_left_out,
    )
    shardings = dataclasses.replace(shapes, step=replicated(mesh), params=params, opt_state=opt_state)
    return jax.jit(init, out_shardings=shardings)(key)


def _is_left_out(leaf: Any) -> bool:
    # What stands for a parameter in the state of an optimizer that is for others.
    return isinstance(leaf, optax.MaskedNode)


def make_train_step(
    loss_fn: LossFn,
    optimizer: optax.GradientTransformation,
    state: TrainState,
    *,
    rows: RowTables | None = None,
    compiler_options: dict[str, Any] | None = None,
) -> TrainStep:
    """Jits one update of states that are laid out like `state`.

    `loss_fn(params, batch, key) -> (loss, metrics)`, both scalar. The step folds its number into `key`, gives the old
    state's memory to the new one, and adds `loss` and `grad_norm` (before clipping) to the metrics. Shardings are
    pinned: left to the compiler they may differ from those of `state`, and the second step would compile again.

    With `rows` loss, gradient and optimizer see the rows of the tables that the batch touches, and no others.
    `compiler_options` are those of `jax.jit`, as of training/compilation.py; a step that has any cannot be part of
    another compiled function.
    """
    shardings = jax.tree.map(lambda leaf: leaf.sharding, state)

    def train_step(
        state: TrainState, batch: Mapping[str, jax.Array], key: jax.Array
    ) -> tuple[TrainState, dict[str, jax.Array]]:
        key = jax.random.fold_in(key, state.step)
        params, opt_state = state.params, state.opt_state
        if rows is not None:
            params, opt_state = rows.take((params, opt_state), batch)
        (loss, metrics), grads = jax.value_and_grad(loss_fn, has_aux=True)(params, batch, key)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        params = optax.apply_updates(params, updates)
        if rows is not None:
            params, opt_state = rows.put((state.params, state.opt_state), (params, opt_state), batch)
        metrics = {**metrics, "loss": loss, "grad_norm": optax.global_norm(grads)}
        return TrainState(state.step + 1, params, opt_state), metrics

    # The step counter is a copied scalar, and so is every metric.
    out_shardings = (shardings, shardings.step)
    return jax.jit(train_step, donate_argnums=0, out_shardings=out_shardings, compiler_options=compiler_options)
