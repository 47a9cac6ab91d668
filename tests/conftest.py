"""Programs compile once for the whole suite, and quickly: tests and the processes that they start share one cache.

Most of a test's time would go into compiling. What runs on a few users is as fast without most optimisations.
"""

import os
from collections.abc import Iterator

import pytest


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Before JAX is imported; workers and other processes inherit it."""
    for name, value in {
        "JAX_COMPILATION_CACHE_DIR": str(config.cache.mkdir("compiled").absolute()),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "0",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    }.items():
        os.environ.setdefault(name, value)


@pytest.fixture(scope="module")
def own_programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Compiled programs of the module alone: runs that are compared to the bit must not meet those of other tests."""
    import jax
    from jax.experimental.compilation_cache import compilation_cache

    shared, folder = os.environ["JAX_COMPILATION_CACHE_DIR"], str(tmp_path_factory.mktemp("compiled"))
    for path in (folder, shared):
        os.environ["JAX_COMPILATION_CACHE_DIR"] = path
        jax.config.update("jax_compilation_cache_dir", path)
        compilation_cache.reset_cache()
        jax.clear_caches()
        if path == folder:
            yield
