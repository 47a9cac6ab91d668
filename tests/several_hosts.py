"""Processes on this machine that train together as hosts do, of two CPU devices each."""

import os
import socket
import subprocess
import sys

from tests.command_line import ROOT, Ended


def run(code, *, count=2, timeout=240):
    """Runs `code` in `count` processes that have joined; how each ended."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    started = (
        "from training import compilation, hosts; "
        "compilation.set_cpu_devices(2); compilation.enable_compilation_cache(); "
        f"hosts.HEARTBEAT_SECONDS = 5; hosts.join({address!r}, {count}, int(__import__('sys').argv[1]))\n"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", started + code, str(number)],
            cwd=ROOT,
            env={**os.environ, "JAX_PLATFORMS": "cpu"},
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
