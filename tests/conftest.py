"""Programs compile once for the whole suite, and quickly: tests and the processes that they start share one cache.

Most of a test's time would go into compiling. What runs on a few users is as fast without most optimisations. Workers
side by side have cores of their own.
"""

import os
from collections.abc import Iterator
from typing import Any

import pytest

from runtime import cores


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Before JAX is imported; workers and other processes inherit it."""
    if "PYTEST_XDIST_WORKER" in os.environ and hasattr(os, "sched_setaffinity"):
        number, workers = (os.environ[f"PYTEST_XDIST_WORKER{name}"] for name in ("", "_COUNT"))
        os.sched_setaffinity(0, cores.shares(int(workers))[int(number.removeprefix("gw"))])
    for name, value in {
        "JAX_COMPILATION_CACHE_DIR": str(config.cache.mkdir("compiled").absolute()),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "0",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    }.items():
        os.environ.setdefault(name, value)


def _jax_settings() -> dict[str, Any]:
    import jax

    found = {name: value for name, value in os.environ.items() if name == "NPROC" or name.startswith(("JAX_", "XLA_"))}
    return found | jax.config.values


@pytest.fixture(scope="module", autouse=True)
def jax_settings_stay() -> Iterator[None]:
    """A setting that a module changes and leaves would change what later modules compile, and so their last bits."""
    before = _jax_settings()
    yield
    after = _jax_settings()
    changed = {n: (before.get(n), after.get(n)) for n in before | after if before.get(n) != after.get(n)}
    assert not changed, f"left changed by this module: {changed}"
