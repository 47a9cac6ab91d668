"""Processes on this machine that train together as hosts do, of two CPU devices each, as Slurm starts them too."""

import contextlib
import http.server
import os
import socket
import subprocess
import sys
import threading

from tests.helpers.command_line import ROOT, Ended


def run(code, *, count=2, timeout=240, cluster=None):
    """Runs `code` in `count` processes that have joined; how each ended.

    cluster: (number, count, port) -> the environment from which each finds the others, instead of by flags.
    """
    port = free_port()
    join = "'auto', 1, 0" if cluster else f"'127.0.0.1:{port}', {count}, int(__import__('sys').argv[1])"
    started = (
        # JAX asks for the metadata of a TPU only where it has found one.
        "from jax._src.clusters import cloud_tpu_cluster; import os; os.environ.pop('TPU_SKIP_MDS_QUERY', None); "
        "cloud_tpu_cluster.running_in_cloud_tpu_vm = 'GCE_METADATA_IP' in os.environ; "
        "from training import compilation; from training.distributed import hosts; "
        "compilation.set_cpu_devices(2); compilation.enable_compilation_cache(); "
        f"hosts.HEARTBEAT_SECONDS = 5; hosts.join({join})\n"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", started + code, str(number)],
            cwd=ROOT,
            env={**os.environ, "JAX_PLATFORMS": "cpu", **(cluster(number, count, port) if cluster else {})},
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


@contextlib.contextmanager
def tpu_metadata(count):
    """Yields what `run` takes for a `cluster`: servers that tell each process of a TPU slice what Google's tells."""
    hosts = ",".join(["localhost"] * count)

    def server(number):
        known = {"agent-worker-number": str(number), "worker-network-endpoints": hosts, "tpu-env": "TYPE: 'a'\n"}

        class Told(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                told = known.get(self.path.removeprefix("/computeMetadata/v1/instance/attributes/"))
                self.send_response(404 if told is None else 200)
                self.end_headers()
                self.wfile.write((told or "").encode())

            def log_message(self, *_):
                pass

        return http.server.ThreadingHTTPServer(("127.0.0.1", 0), Told)

    servers = [server(number) for number in range(count)]
    for one in servers:
        threading.Thread(target=one.serve_forever, daemon=True).start()
    try:
        yield lambda number, count, port: {
            "GCE_METADATA_IP": f"127.0.0.1:{servers[number].server_port}",
            "JAX_COORDINATOR_PORT": str(port),
        }
    finally:
        for one in servers:
            one.shutdown()
            one.server_close()
