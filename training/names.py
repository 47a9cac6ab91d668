"""Names of a pytree's leaves: "tower/gru/kernel"; the same for a dict, a dataclass and a flax NNX state."""

from typing import Any

import jax
from jax.tree_util import GetAttrKey, keystr

# NNX wraps each array in a Variable whose only child is `.value`; it says nothing about the leaf.
_WRAPPER = GetAttrKey("value")


def named_leaves(tree: Any) -> dict[str, Any]:
    """Name -> leaf, in the order of `jax.tree.leaves`. Errors: ValueError where two leaves have one name."""
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    names = {leaf_name(path): leaf for path, leaf in leaves}
    if len(names) != len(leaves):
        raise ValueError("two leaves of the pytree have the same name")
    return names


def leaf_name(path: tuple[Any, ...]) -> str:
    """The name of the leaf at a key path of `jax.tree_util`."""
    return keystr(tuple(key for key in path if key != _WRAPPER), simple=True, separator="/")
