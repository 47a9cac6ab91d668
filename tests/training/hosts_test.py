"""How hosts find one another."""

import pytest

from runtime.errors import UsageError
from tests.helpers import several_hosts
from training.distributed import hosts
from training.distributed.cluster import local_devices

JOINED = "import jax; print(jax.process_index(), jax.process_count(), jax.device_count(), jax.local_device_count())"


def told(ended):
    """Statuses, and what was printed, but for what gloo says of its connections."""
    return [(one.status, *(line for line in one.stdout.splitlines() if not line.startswith("[Gloo]"))) for one in ended]


def test_processes_that_slurm_started_find_each_other():
    ended = several_hosts.run(JOINED, cluster=several_hosts.slurm_names)
    assert told(ended) == [(0, "0 2 4 2"), (0, "1 2 4 2")], ended


def test_the_hosts_of_a_tpu_slice_find_each_other():
    with several_hosts.tpu_metadata(2) as cluster:
        ended = several_hosts.run(JOINED, cluster=cluster)
    assert told(ended) == [(0, "0 2 4 2"), (0, "1 2 4 2")], ended


@pytest.mark.parametrize(
    ("given", "what"),
    [
        (("auto", 2, 0), "--coordinator=auto: the cluster tells --num_processes"),
        (("auto", 1, 1), "--coordinator=auto: the cluster tells --num_processes"),
        (("nowhere", 2, 0), "--coordinator=nowhere: --num_processes=2 needs host:port"),
        (("host:1", 0, 0), "--num_processes=0: must be at least 1"),
        (("host:1", 2, 2), "--process_id=2: from 0 to 1"),
    ],
)
def test_numbers_that_do_not_fit(given, what):
    with pytest.raises(UsageError, match=what):
        hosts.join(*given)


@pytest.mark.parametrize("number", [0, 1])
def test_who_waits_for_others_in_vain_ends_with_one_line(number):
    address = f"127.0.0.1:{several_hosts.free_port()}"
    ended = several_hosts.alone(
        f"from training.distributed import hosts; hosts.JOIN_SECONDS = 1; hosts.join({address!r}, 2, {number})"
    )
    assert ended.status == 5, ended
    (line,) = ended.stderr.splitlines()
    assert f"--coordinator={address} --num_processes=2 --process_id={number}: process 0 does not answer" in line


def test_without_a_cluster_it_says_what_to_give():
    ended = several_hosts.alone(
        "from runtime.errors import UsageError; from training.distributed import hosts\n"
        "try: hosts.join('auto', 1, 0)\n"
        "except UsageError as error: print(error)\n"
    )
    assert ended.status == 0, ended
    assert "--coordinator=auto: no TPU slice, Slurm, Open MPI or Kubernetes Job that JAX knows" in ended.stdout
    assert len(ended.stdout.splitlines()) == 1
    assert ended.stderr == ""


SLURM = {"SLURM_LOCALID": "2"}


@pytest.mark.parametrize(
    ("env", "devices"),
    [
        ({}, None),
        ({"CUDA_VISIBLE_DEVICES": "0,1"}, None),  # no Slurm: JAX takes all
        ({**SLURM, "SLURM_GPUS_ON_NODE": "4", "SLURM_STEP_TASKS_PER_NODE": "4(x2)"}, None),  # JAX takes number 2
        ({**SLURM, "SLURM_GPUS_ON_NODE": "4", "SLURM_STEP_TASKS_PER_NODE": "1(x2)"}, [0, 1, 2, 3]),
        ({**SLURM, "SLURM_GPUS_ON_NODE": "4", "SLURM_STEP_TASKS_PER_NODE": "1"}, [0, 1, 2, 3]),
        ({**SLURM, "SLURM_GPUS_ON_NODE": "4", "CUDA_VISIBLE_DEVICES": "2"}, [0]),  # its own alone is shown to it
        ({**SLURM, "SLURM_STEP_TASKS_PER_NODE": "1(x2)"}, None),  # no GPUs
    ],
)
def test_a_process_takes_the_gpus_that_are_its_own(env, devices):
    assert local_devices(env) == devices
