"""Ends this process with one line where another host has failed or stands still: it would wait for that host for good.

A host that fails tells the others by a key in JAX's coordination service, for which each of them looks twice a second.
A host that is killed says nothing: JAX itself ends the others once its heartbeat fails (training/distributed/hosts.py).
"""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import jax
from jax._src import distributed  # the keys of the coordination service have no public name

from runtime import app
from runtime.errors import HostError

STUCK_SECONDS = 900.0  # a step, an evaluation or a checkpoint, saved or restored, that takes longer will not end

_KEY = "heed/failed"
_REMEDY = "the same command on all hosts goes on from the last checkpoint"
_POLL_SECONDS = 0.5
_GRACE_SECONDS = 1.0  # for a host to end by its own error, where all fail alike

_last_sign: float | None = None


def sign_of_life() -> None:
    """Says that training goes on; from the first call on the next has to follow within STUCK_SECONDS."""
    global _last_sign
    _last_sign = time.monotonic()


def rest() -> None:
    """Says that a training is over: what follows it may take any time, until the next `sign_of_life`."""
    global _last_sign
    _last_sign = None


@contextlib.contextmanager
def watched() -> Iterator[None]:
    """What runs here ends on this host when it has failed on another one. One process alone is not watched.

    Errors: HostError where a collective operation fails, as it does when another host is gone.
    """
    if jax.process_count() == 1:
        yield
        return
    over = threading.Event()
    threading.Thread(target=_watch, args=(over,), daemon=True).start()
    try:
        yield
    except SystemExit:  # SIGTERM, which all hosts obey at one step
        raise
    except BaseException as error:
        over.set()
        app.leave_at_once()
        with contextlib.suppress(jax.errors.JaxRuntimeError):  # another host may have told already
            _service().key_value_set(_KEY, str(jax.process_index()))
            if jax.process_index() == 0:
                time.sleep(2 * (_POLL_SECONDS + _GRACE_SECONDS))  # the keys go with it
        if isinstance(error, jax.errors.JaxRuntimeError):
            reason = (str(error).splitlines() or [""])[0]
            raise HostError(f"another host is gone ({reason}); {_REMEDY}") from None
        raise
    finally:
        over.set()


def _watch(over: threading.Event) -> None:
    while not over.wait(_POLL_SECONDS):
        with contextlib.suppress(jax.errors.JaxRuntimeError):
            failed = _service().key_value_try_get(_KEY)
            if not over.wait(_GRACE_SECONDS):
                _end(f"process {failed} has ended with an error, which its own last line names")
        if _last_sign is not None and time.monotonic() - _last_sign > STUCK_SECONDS:
            _end(f"no step for {STUCK_SECONDS:.0f} seconds: a host stands still; stop them all, then {_REMEDY}")


def _service() -> Any:
    return distributed.global_state.client


def _end(message: str) -> None:
    app.report(message)
    sys.stdout.flush()
    os._exit(app.OTHER_HOST)  # the main thread waits for that host
