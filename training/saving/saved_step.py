"""One step on disk: what is written of a training state, and what must agree before it is used again.

The folder of a step holds `params`, `optimizer` (all else of the state) and `record`: shape, dtype and digest of each
leaf, the position of the input, the score, and a checksum of the record itself. Several hosts use a step or leave it
together: what is damaged on one of them is damaged.
"""

import json
import sys
import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import jax
import orbax.checkpoint as ocp
from etils import epath

from runtime.errors import UsageError
from training.digest import digests
from training.distributed.hosts import hosts_where, together
from training.names import named_leaves

ITEMS = ("params", "optimizer", "record")
# What is no fault of the files. All else that is raised where they are read is: Orbax and TensorStore have an exception
# of nearly every kind for what is missing, cut or altered.
_FAILURES = (MemoryError, jax.errors.JaxRuntimeError)

T = TypeVar("T")


class DamagedError(Exception):
    """A step that cannot be used, and why."""


def contents(tree: Any, data_state: Any, score: float | None) -> ocp.args.Composite:
    """What to give Orbax to save. `tree` has its parameters under the name `params`; `data_state` is JSON."""
    leaves = named_leaves(tree)
    values = jax.device_get(digests(leaves))
    record: dict[str, Any] = {
        "leaves": {
            name: {"shape": list(leaf.shape), "dtype": str(leaf.dtype), "digest": int(values[name])}
            for name, leaf in leaves.items()
        },
        "data": data_state,
        "score": score,
    }
    items = {item: ocp.args.StandardSave(part) for item, part in _by_item(leaves).items()}
    return ocp.args.Composite(**items, record=ocp.args.JsonSave({**record, "crc32": _crc32(record)}))


def first_whole(
    manager: ocp.CheckpointManager, steps: Iterable[int], target: Any
) -> tuple[tuple[Any, Any, int] | None, list[int]]:
    """The first of `steps` that verifies, as (tree like `target`, data_state, step), and the damaged ones before it.

    stderr says which were damaged and how. Errors: UsageError where a step holds the leaves of another model.
    """
    damaged: list[int] = []
    for step in steps:
        try:
            tree, data_state = _restore(manager, step, target)
        except DamagedError as error:
            print(f"{manager.directory}: checkpoint of step {step} is not used: {error}", file=sys.stderr, flush=True)
            damaged.append(step)
        else:
            return (tree, data_state, step), damaged
    return None, damaged


def scores(manager: ocp.CheckpointManager) -> dict[int, float | None]:
    """Step -> score; None where it has none, or cannot be read."""
    scores_of_steps: dict[int, float | None] = {}
    for step in manager.all_steps():
        try:
            scores_of_steps[step] = _record(manager, step)["score"]
        except DamagedError:
            scores_of_steps[step] = None
    return scores_of_steps


def best_first(scores: Mapping[int, float | None]) -> list[int]:
    """Highest score first; of equal scores the earlier step; those without a score at the end, newest first."""
    scored = sorted((-score, step) for step, score in scores.items() if score is not None)
    unscored = sorted((step for step, score in scores.items() if score is None), reverse=True)
    return [step for _, step in scored] + unscored


def _restore(manager: ocp.CheckpointManager, step: int, target: Any) -> tuple[Any, Any]:
    record = _record(manager, step)
    leaves = named_leaves(target)
    parts = _by_item({name: _layout(leaf) for name, leaf in leaves.items()})
    saved = {item: leaves for item, leaves in _by_item(record["leaves"]).items() if item in parts}
    for item, layouts in parts.items():
        _check_same_model(f"{manager.directory}/{step}", saved.get(item, {}), layouts)
    items = _on_all(
        lambda: _read(manager, step, **{item: ocp.args.StandardRestore(layouts) for item, layouts in parts.items()})
    )
    restored = {name: leaf for item in parts for name, leaf in items[item].items()}
    found = jax.device_get(digests(restored))  # of arrays that are split over hosts: all of them compute it

    def compare() -> None:
        for name, digest in found.items():
            if int(digest) != record["leaves"][name]["digest"]:
                raise DamagedError(f"{name} is not what was saved (its digest differs)")

    _on_all(compare)  # of an array that each host has read for itself the digest is its own too
    return jax.tree.unflatten(jax.tree.structure(target), [restored[name] for name in leaves]), record["data"]


def _record(manager: ocp.CheckpointManager, step: int) -> dict[str, Any]:
    def read() -> dict[str, Any]:
        try:
            record = _read(manager, step, record=ocp.args.JsonRestore())["record"]
            crc32 = record.pop("crc32")
        except (DamagedError, KeyError, TypeError, AttributeError) as error:
            raise DamagedError(f"its record cannot be read ({_first_line(error)})") from None
        if crc32 != _crc32(record):
            raise DamagedError("its record is not what was saved (its checksum differs)")
        return dict(record)

    return _on_all(read)


def _on_all(action: Callable[[], T]) -> T:
    """What `action` returns here, once every host is through with its own; a DamagedError on one is one on all."""

    def judged() -> T | DamagedError:
        try:
            return action()
        except DamagedError as error:
            return error

    result = together(judged)
    damaged = hosts_where(isinstance(result, DamagedError))
    if isinstance(result, DamagedError):
        raise result
    if damaged:
        raise DamagedError(f"process {damaged[0]} has found it damaged, and says how")
    return result


def _read(manager: ocp.CheckpointManager, step: int, **items: Any) -> Any:
    # Not by the manager: at the end of its restore it waits for the other hosts, whether or not it has failed on them.
    handler = ocp.CompositeCheckpointHandler(*ITEMS)
    try:
        return handler.restore(epath.Path(manager.directory) / str(step), ocp.args.Composite(**items))
    except Exception as error:
        cause = _cause(error)
        if isinstance(cause, _FAILURES) or not isinstance(cause, Exception):  # or Ctrl-C
            raise cause from None
        raise DamagedError(_first_line(cause)) from None
    finally:
        handler.close()


def _cause(error: BaseException) -> BaseException:
    """What was raised first: Orbax raises a bare Exception from it, which says nothing of why."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _by_item(leaves: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    items: dict[str, dict[str, Any]] = {}
    for name, leaf in leaves.items():
        item = "params" if name.split("/", 1)[0] == "params" else "optimizer"
        items.setdefault(item, {})[name] = leaf
    return items


def _layout(leaf: Any) -> jax.ShapeDtypeStruct:
    sharding = getattr(leaf, "sharding", None) or jax.sharding.SingleDeviceSharding(jax.devices()[0])
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)


def _check_same_model(where: str, saved: Mapping[str, Mapping[str, Any]], wanted: Mapping[str, Any]) -> None:
    there = {name: f"{leaf['dtype']}{leaf['shape']}" for name, leaf in saved.items()}
    now = {name: f"{leaf.dtype}{list(leaf.shape)}" for name, leaf in wanted.items()}
    for name in sorted(there.keys() | now.keys()):
        if there.get(name) != now.get(name):
            raise UsageError(
                f"{where}: checkpoint of another model: {name} is {there.get(name, 'missing')} there, "
                f"{now.get(name, 'missing')} now; give the config and data that it was trained with"
            )


def _crc32(record: Mapping[str, Any]) -> int:
    return zlib.crc32(json.dumps(record, sort_keys=True).encode())


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
