"""How JAX compiles: the compilation cache and the number of CPU devices, set before the first array, and options."""

import os
from pathlib import Path
from typing import Any

import jax

from runtime import cores
from runtime.errors import UsageError

DEFAULT_CACHE = "~/.cache/heed/jax"


def enable_compilation_cache() -> None:
    """Keeps compiled programs in a folder, so that the next process that needs one reads it.

    In $JAX_COMPILATION_CACHE_DIR, or DEFAULT_CACHE; without one where that cannot be written: it is no more than a
    cache. Small and quick programs too: starting is many small compilations. A damaged entry is compiled again.

    A CPU program is made for a number of threads, by which its sums are ordered, and JAX does not ask for that number:
    programs of each have a folder of their own. So `set_cpu_devices` comes first.
    """
    threads = os.environ.get("NPROC") or str(cores.count())
    folder = Path(os.environ.get("JAX_COMPILATION_CACHE_DIR", DEFAULT_CACHE)).expanduser() / f"{threads}_threads"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        usable = os.access(folder, os.W_OK)
    except OSError:
        usable = False
    jax.config.update("jax_compilation_cache_dir", str(folder) if usable else None)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)


_LIBRARY = "xla_cpu_experimental_ynn_fusion_type"


def narrow_row_options() -> dict[str, Any] | None:
    """Options of `jax.jit` for a model whose rows are a few tens of numbers wide, as the ranker's are; else None.

    On a CPU XLA (of jax 0.10) gives products and sums to a library, YNNPACK. A sum over so few numbers takes three
    times as long there as in XLA's own loop: a training step of the ranker is a fifth shorter when the library has
    products alone. One of retrieval, whose rows are wide, is a tenth longer. None on other devices, and where the
    user's XLA_FLAGS say what the library has.
    """
    if jax.default_backend() != "cpu" or _LIBRARY in os.environ.get("XLA_FLAGS", ""):
        return None
    return {_LIBRARY: "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT"}


# Collectives of one training step that may wait for other devices at the same time; a test counts them.
CONCURRENT_COLLECTIVES = 8


def set_cpu_devices(count: int) -> None:
    """Makes the CPU look like `count` devices. Errors: UsageError below one; RuntimeError where JAX has started."""
    if count < 1:
        raise UsageError(f"--config.cpu_devices={count}: must be at least 1")
    # XLA runs all devices in one pool of threads, and a collective holds its thread until the other devices arrive.
    # With too few threads all of them wait and nobody arrives: XLA aborts after 40 seconds. With many more than cores
    # every product is cut into pieces too small: 64 threads on 2 cores lose a quarter of the speed of 5.
    if count > 1:
        os.environ.setdefault("NPROC", str(max(cores.count(), 1 + CONCURRENT_COLLECTIVES * (count - 1))))
    jax.config.update("jax_num_cpu_devices", count)
