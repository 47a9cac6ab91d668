"""What a cluster's scheduler says of this process: the devices that are its own.

JAX finds a coordinator, the number of processes and this one's number by itself under Slurm, Open MPI, on a TPU slice
and, with the package `kubernetes`, in a Kubernetes Job (jax.distributed.initialize). Under Slurm it also gives each
process the one GPU whose number is the process's own on its node. That is right for a process a GPU, where all see
all of them; wrong for one process a node, and where Slurm shows each process its own GPUs alone.
"""

import re
from collections.abc import Mapping


def local_devices(env: Mapping[str, str]) -> list[int] | None:
    """Numbers of the GPUs that this process is to use, of those that it sees; None leaves it to JAX.

    Args: env, as Slurm sets it: SLURM_LOCALID, SLURM_STEP_TASKS_PER_NODE such as "1(x4)" or "8(x2),4", and
      CUDA_VISIBLE_DEVICES or SLURM_GPUS_ON_NODE.
    """
    if "SLURM_LOCALID" not in env:
        return None
    listed = env.get("CUDA_VISIBLE_DEVICES", "")
    visible = len(listed.split(",")) if listed else int(env.get("SLURM_GPUS_ON_NODE") or 0)
    alone = re.fullmatch(r"1(\(x\d+\))?", env.get("SLURM_STEP_TASKS_PER_NODE", "")) is not None
    return list(range(visible)) if visible and (alone or visible == 1) else None
