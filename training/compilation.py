"""JAX settings that must be made before the first array: the compilation cache, the number of CPU devices."""

import os
from pathlib import Path

import jax

DEFAULT_CACHE = "~/.cache/heed/jax"


def enable_compilation_cache(path: str | os.PathLike[str] = DEFAULT_CACHE) -> None:
    """Keeps compiled programs in a folder, so that the next process that needs one reads it.

    Small and quick ones too: starting is many small compilations. A damaged entry is compiled again.
    """
    folder = Path(path).expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)


def set_cpu_devices(count: int) -> None:
    """Makes the CPU look like `count` devices. Errors: RuntimeError where JAX has started already."""
    # XLA runs all of them in one pool of a thread per core, and a collective holds its thread until the other devices
    # arrive. Where one device's collectives hold every thread, nobody can arrive, and XLA aborts after 40 seconds.
    # A single device waits for nobody, and is a third faster where XLA does not split its work over so many threads.
    if count > 1:
        os.environ.setdefault("NPROC", str(32 * count))
    jax.config.update("jax_num_cpu_devices", count)
