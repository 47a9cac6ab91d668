"""SIGTERM asks a training loop to end after the step it is in, on every host at the same one."""

import itertools
import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

import jax
from jax.experimental import multihost_utils

EXIT_STATUS = 128 + signal.SIGTERM

_STEPS = itertools.count(1)  # of all trainings of this process: JAX ends them at a step above all that hosts have named


class Termination:
    """A context in which SIGTERM is remembered instead of ending the process."""

    def __init__(self) -> None:
        # No Event: it takes a lock, which the handler of a second signal would wait for within that of the first.
        self._asked = False
        self._previous: Any = None

    def asked(self) -> bool:
        """Whether to end after this step. Several hosts agree on the step: JAX passes the signal on between them."""
        if jax.process_count() > 1:
            return multihost_utils.reached_preemption_sync_point(next(_STEPS))
        return self._asked

    def __enter__(self) -> Self:
        # With several hosts the signal is JAX's own; Python takes signals in the main thread only.
        if jax.process_count() == 1 and threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGTERM, self._remember)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGTERM, self._previous)

    def _remember(self, number: int, frame: FrameType | None) -> None:
        self._asked = True
