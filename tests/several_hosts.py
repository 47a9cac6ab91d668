"""Processes on this machine that train together as hosts do, of two CPU devices each, as Slurm starts them too."""

import os
import socket
import subprocess
import sys

from tests.command_line import ROOT, Ended


def run(code, *, count=2, timeout=240, slurm=False):
    """Runs `code` in `count` processes that have joined; how each ended. slurm: they have joined by its names."""
    port = free_port()
    join = "'auto', 1, 0" if slurm else f"'127.0.0.1:{port}', {count}, int(__import__('sys').argv[1])"
    started = (
        "from training import compilation, hosts; "
        "compilation.set_cpu_devices(2); compilation.enable_compilation_cache(); "
        f"hosts.HEARTBEAT_SECONDS = 5; hosts.join({join})\n"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", started + code, str(number)],
            cwd=ROOT,
            env={**os.environ, "JAX_PLATFORMS": "cpu", **(slurm_names(number, count, port) if slurm else {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(count)
    ]
    try:
        said = [process.communicate(timeout=timeout) for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [Ended(process.returncode, *streams) for process, streams in zip(processes, said, strict=True)]


def alone(code):
    """Runs `code` in a process that no cluster's scheduler has started."""
    clusters = ("SLURM_", "OMPI_", "KUBERNETES_", "TPU_", "JAX_COORDINATOR_")
    env = {name: value for name, value in os.environ.items() if not name.startswith(clusters)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={**env, "JAX_PLATFORMS": "cpu"}, capture_output=True, text=True
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def free_port():
    """One that nobody listens at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def slurm_names(number, count, port):
    """The environment that srun gives the process `number` of `count`, all on this machine."""
    names = {"JOB_ID": 7, "STEP_NODELIST": "localhost", "NTASKS": count, "PROCID": number, "LOCALID": number}
    return {"JAX_COORDINATOR_PORT": str(port), **{f"SLURM_{name}": str(value) for name, value in names.items()}}
