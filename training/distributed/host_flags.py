"""The flags of a program that trains on several hosts, and what it does before and around its training.

Loads no array library before the training begins, so that `--help` stays fast.
"""

import contextlib
from collections.abc import Callable, Iterator

from absl import flags

flags.disclaim_key_flags()  # --help shows the flags among those of the program that defines them


def define_hosts() -> Callable[[int], contextlib.AbstractContextManager[None]]:
    """Defines --coordinator, --num_processes and --process_id; what it returns is entered to train, with the number of
    devices that a CPU is to have: the hosts have joined, programs are cached, and a host that stands still is noticed.
    """
    coordinator = flags.DEFINE_string(
        "coordinator", "", "host:port of process 0, to train on several hosts; auto: as the cluster says."
    )
    num_processes = flags.DEFINE_integer("num_processes", 1, "Hosts that train together.")
    process_id = flags.DEFINE_integer("process_id", 0, "Number of this host.")

    @contextlib.contextmanager
    def joined(cpu_devices: int) -> Iterator[None]:
        from training.compilation import enable_compilation_cache, set_cpu_devices
        from training.distributed.hosts import join
        from training.distributed.watch import watched

        set_cpu_devices(cpu_devices)
        enable_compilation_cache()
        join(coordinator.value, num_processes.value, process_id.value)
        with watched():
            yield

    return joined
