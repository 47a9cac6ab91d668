"""Several hosts that train as one: they join, agree before anything is written, and act on the same figures.

With one host every function here is what it is without hosts, at no cost.
"""

import contextlib
import os
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils

from runtime import app
from runtime.errors import HostError, UsageError
from runtime.workdir import CONFIG, is_complete, open_workdir
from training.distributed.cluster import local_devices

T = TypeVar("T")

AUTO = "auto"  # for a coordinator: whom the cluster names

JOIN_SECONDS = 300  # in which all processes have to come
HEARTBEAT_SECONDS = 10  # without a sign of life for this long a process counts as dead, and the others end


def join(coordinator: str, num_processes: int, process_id: int) -> None:
    """Makes `num_processes` hosts one run; call it before anything else touches JAX. One process has nothing to join.

    `coordinator` is host:port of process 0, whose number is 0; or AUTO, where a cluster tells all three numbers itself
    (training/distributed/cluster.py). CPU hosts talk over gloo.
    Errors: UsageError names the flag of a number that does not fit, and AUTO where no cluster is found. Where not all
    come in JOIN_SECONDS the process ends, with one line and the status of a HostError.
    """
    if coordinator == AUTO:
        _join_cluster(num_processes, process_id)
        return
    if num_processes < 1:
        raise UsageError(f"--num_processes={num_processes}: must be at least 1")
    if not 0 <= process_id < num_processes:
        raise UsageError(
            f"--process_id={process_id}: from 0 to {num_processes - 1} for --num_processes={num_processes}"
        )
    if num_processes == 1:
        return
    host, _, port = coordinator.rpartition(":")
    if not host or not port.isdigit():
        raise UsageError(
            f"--coordinator={coordinator}: --num_processes={num_processes} needs host:port of process 0, "
            "the same on every host"
        )
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    with _in_time(f"--coordinator={coordinator} --num_processes={num_processes} --process_id={process_id}"):
        jax.distributed.initialize(
            coordinator,
            num_processes,
            process_id,
            cluster_detection_method="deactivate",  # a scheduler's variables would leave a host one of its devices
            heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
            initialization_timeout=2 * JOIN_SECONDS,
        )
        _meet()


def _join_cluster(num_processes: int, process_id: int) -> None:
    if (num_processes, process_id) != (1, 0):
        raise UsageError(f"--coordinator={AUTO}: the cluster tells --num_processes and --process_id; leave them out")
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    try:
        with warnings.catch_warnings(), _in_time(f"--coordinator={AUTO}"):
            warnings.simplefilter("ignore")  # of JAX, that it would know Kubernetes by another package
            jax.distributed.initialize(
                local_device_ids=local_devices(os.environ),
                heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
                initialization_timeout=2 * JOIN_SECONDS,
            )
            _meet()
    except ValueError as error:
        raise UsageError(
            f"--coordinator={AUTO}: no TPU slice, Slurm, Open MPI or Kubernetes Job that JAX knows ({error}); "
            "give host:port of process 0, --num_processes and --process_id"
        ) from None


def _meet() -> None:
    # Hosts connect at their first common operation, for which gloo gives them 30 seconds, and wait at later ones for as
    # long as it takes. So the first one is here, where all are at the same place.
    together(lambda: None)


@contextlib.contextmanager
def _in_time(given: str) -> Iterator[None]:
    # Where hosts do not find each other JAX aborts the process, with a stack trace.
    def end() -> None:
        app.report(
            f"{given}: process 0 does not answer, or not every process has come in {JOIN_SECONDS} seconds; start the "
            "same command on all hosts, with one address and a number for each"
        )
        os._exit(app.OTHER_HOST)

    timer = threading.Timer(JOIN_SECONDS, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def is_first() -> bool:
    """Whether this is process 0, which writes the files."""
    return jax.process_index() == 0


def hosts_where(here: bool) -> list[int]:
    """The numbers of the hosts where it is so, the same on all of them."""
    if jax.process_count() == 1:
        return [0] if here else []
    numbers: list[int] = np.flatnonzero(multihost_utils.process_allgather(np.asarray(here))).tolist()
    return numbers


def together(action: Callable[[], T]) -> T:
    """What `action` returns here, once every host is through with its own; no host goes on where one has failed.

    Errors: those of `action`; HostError on the other hosts.
    """
    if jax.process_count() == 1:
        return action()
    error: Exception | None = None
    try:
        result = action()
    except Exception as raised:  # whatever it is, the others wait
        error = raised
    failed = hosts_where(error is not None)
    if error is not None:
        raise error
    if failed:
        raise HostError(f"process {failed[0]} has ended with an error, which its own last line names")
    return result


def by_first(action: Callable[[], object]) -> None:
    """Process 0 alone does `action`, such as to write a file, and no host goes on before that is done.

    Errors: as of `together`.
    """
    together(lambda: action() if is_first() else None)


def of_first(values: Mapping[str, float]) -> dict[str, float]:
    """Process 0's numbers under these names, to the last bit: what all hosts decide by has to be the same on all."""
    if jax.process_count() == 1 or not values:
        return {name: float(value) for name, value in values.items()}
    names = sorted(values)
    bits = np.asarray([values[name] for name in names], np.float64).view(np.uint32)  # JAX would round float64
    agreed = np.asarray(multihost_utils.broadcast_one_to_all(bits)).view(np.float64)
    return dict(zip(names, agreed.tolist(), strict=True))


def open_shared_workdir(path: str | os.PathLike[str] | None, identity: Mapping[str, Any]) -> tuple[Path, bool]:
    """The workdir of a run, as `runtime.workdir.open_workdir` has it, and whether the run is complete.

    Errors: UsageError as there, and where the hosts do not see one folder or do not train the same.
    """
    by_first(lambda: open_workdir(path, identity))
    folder = together(lambda: _reopened(path, identity))
    return folder, bool(of_first({"complete": is_complete(folder)})["complete"])


def _reopened(path: str | os.PathLike[str] | None, identity: Mapping[str, Any]) -> Path:
    if not is_first() and path and not (Path(path) / CONFIG).exists():
        raise UsageError(f"--workdir={path}: not the folder of process 0; all hosts need one that they share")
    return open_workdir(path, identity)
