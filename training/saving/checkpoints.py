"""Checkpoints that survive kills, flipped bits, full disks and a second writer.

The two newest steps and the one of the best score are kept. A step is used only where it verifies (`saved_step`); else
the next one is, and stderr says why.
"""

import contextlib
import errno
import json
import logging
import math
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import jax
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils
from orbax.checkpoint import checkpoint_managers

from runtime.artifact import read_json, write_json
from runtime.errors import DataError, UsageError
from runtime.lock import lock_folder
from training.distributed.hosts import is_first, together
from training.mesh import local_copy, make_mesh, replicated
from training.saving.abandoned import ignore_abandoned
from training.saving.literal_paths import take_literally
from training.saving.saved_step import ITEMS, best_first, contents, first_whole, scores
from training.step import TrainState

CHECKPOINTS = "checkpoints"  # in a training run's folder
FINGERPRINT = "fingerprint.json"
_DELETED = "deleted"  # old steps are renamed into it first: a deletion that is cut short leaves no half a step


class Checkpoints:
    """The checkpoints of one training run; the only writer of its folder until closed.

    `fingerprint` says what the run is of (config, vocabulary hash, batch size, ...; JSON values): saved input positions
    mean nothing to another run. Errors: UsageError where the folder is locked or has another fingerprint.
    """

    def __init__(self, path: str | os.PathLike[str], *, fingerprint: Mapping[str, Any]) -> None:
        self.path = Path(path).absolute()
        self.path.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as on_error:
            on_error.enter_context(together(lambda: lock_folder(self.path) if is_first() else contextlib.nullcontext()))
            together(lambda: _check_fingerprint(self.path / FINGERPRINT, json.loads(json.dumps(fingerprint))))
            self._policy = _LatestAndBest()
            self._manager = _manager(self.path, preservation_policy=self._policy)
            self._policy.scores = scores(self._manager)
            self._held = on_error.pop_all()

    def save(self, step: int, state: TrainState, data_state: Any, *, score: float | None = None) -> None:
        """Starts to write `state` and `data_state` (JSON values); a step that is there already is left as it is.

        The best step is the one of the highest score; NaN is no score. Errors: OSError where the disk is full, for this
        save or the one before.
        """
        self.wait()
        if step in self._manager.all_steps():
            return
        score = score if score is not None and math.isfinite(score) else None
        self._policy.scores[step] = score
        with _disk_errors(self.path):
            self._manager.save(step, args=contents(state, data_state, score), force=True)

    def restore_latest(self, target: TrainState) -> tuple[TrainState, Any, int] | None:
        """(state, data_state, step) of the newest step that verifies, laid out like `target`; None where none does.

        The damaged ones are set aside, so that their place is free. Errors: UsageError where a step holds another
        model's state.
        """
        self.wait()
        restored, damaged = first_whole(self._manager, sorted(self._manager.all_steps(), reverse=True), target)
        for step in damaged:
            self._set_aside(step)
        return restored

    def latest_step(self) -> int | None:
        """The newest step, written to the end."""
        self.wait()
        return self._manager.latest_step()

    def wait(self) -> None:
        """Blocks until the last save is on disk. Errors: OSError where the disk is full."""
        with _disk_errors(self.path):
            self._manager.wait_until_finished()
        if is_first():
            shutil.rmtree(self.path / _DELETED, ignore_errors=True)

    def close(self) -> None:
        """Waits, then lets go of the folder; no host goes on, say to read it, before all are through."""
        with self._held:
            self.wait()
            self._manager.close()
            multihost_utils.sync_global_devices("checkpoints closed")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None or issubclass(kind, SystemExit) or jax.process_count() == 1:
            self.close()
        else:  # the other hosts may not come: closing would wait for them
            self._held.close()

    def _set_aside(self, step: int) -> None:
        if is_first():
            aside = self.path / f"damaged-{step}"
            shutil.rmtree(aside, ignore_errors=True)
            os.replace(self.path / str(step), aside)
        multihost_utils.sync_global_devices(f"set aside {step}")
        self._manager.reload()


def restore_params(path: str | os.PathLike[str], target: Any, *, best: bool = True) -> tuple[Any, int]:
    """(params, step) of the best score's step, or of the newest one; `target` gives structure, shapes and layout.

    For those who read a run, while it is written or later: takes no lock and changes nothing. On several hosts all of
    them call it alike, and each has all parameters to itself.
    Errors: UsageError where there is no checkpoint or it holds another model; DataError where none verifies.
    """
    folder = Path(path).absolute()
    restored = None
    if folder.is_dir():
        with _manager(folder, read_only=True) as manager:
            known = scores(manager)
            if known:
                steps = best_first(known) if best else sorted(known, reverse=True)
                restored, _ = first_whole(manager, steps, {"params": _whole(target)})
                if restored is None:
                    raise DataError(f"{path}: no checkpoint verifies; train again")
    if restored is None:
        raise UsageError(f"{path}: no checkpoint here; give the folder of a training run")
    return _own(restored[0]["params"]), restored[2]


def _whole(target: Any) -> Any:
    # On several hosts an array has to say on which devices it is: all of it on each.
    if jax.process_count() == 1:
        return target
    everywhere = replicated(make_mesh())
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=everywhere), target)


def _own(params: Any) -> Any:
    # What this host computes with them need not be what the others do.
    return params if jax.process_count() == 1 else local_copy(params)


class _LatestAndBest(checkpoint_managers.PreservationPolicy):
    """Keeps the two newest steps and the one with the highest score."""

    def __init__(self) -> None:
        self.scores: dict[int, float | None] = {}

    def should_preserve(self, checkpoints: Sequence[Any], **_: Any) -> list[bool]:
        steps = [checkpoint.step for checkpoint in checkpoints]
        kept = {*sorted(steps)[-2:], *best_first({step: self.scores.get(step) for step in steps})[:1]}
        return [step in kept for step in steps]


class _Manager(ocp.CheckpointManager):
    def reached_preemption(self, step: int) -> bool:
        # For training/termination.py to ask: JAX would take `step` for one of the numbers that it counts steps by.
        return False


def _manager(folder: Path, **options: Any) -> ocp.CheckpointManager:
    if "\\" in str(folder):  # TensorStore takes it for a slash, and would write elsewhere
        raise UsageError(f"{folder}: checkpoints cannot lie below a folder with a backslash in its name; rename it")
    logging.getLogger("absl").addFilter(_not_orbax)
    take_literally()
    ignore_abandoned()
    writes = not options.get("read_only", False)
    return _Manager(
        folder,
        item_names=ITEMS,
        options=ocp.CheckpointManagerOptions(
            lightweight_initialize=True,  # a damaged step must not keep the folder from being opened
            cleanup_tmp_directories=writes,
            todelete_subdir=_DELETED if writes else None,
            **options,
        ),
    )


def _not_orbax(record: logging.LogRecord) -> bool:
    """False for the log of Orbax, where every thread leaves a traceback of an error that is raised and told anyway."""
    return f"{os.sep}orbax{os.sep}" not in record.pathname


def _check_fingerprint(file: Path, fingerprint: Mapping[str, Any]) -> None:
    if not file.exists():
        if is_first():
            write_json(file, fingerprint)
        return
    saved = read_json(file)
    for name in sorted(saved.keys() | fingerprint.keys()):
        if saved.get(name) != fingerprint.get(name):
            raise UsageError(
                f"{file.parent}: checkpoints of another run ({name}: {saved.get(name)!r} there, "
                f"{fingerprint.get(name)!r} now); choose another --workdir or delete this one"
            )


@contextlib.contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    """Turns what the storage layer says about a full disk into the OSError that it is."""
    try:
        yield
    except Exception as error:
        for number in (errno.ENOSPC, errno.EDQUOT):
            if os.strerror(number) in str(error):
                raise OSError(number, os.strerror(number), str(folder)) from None
        raise
