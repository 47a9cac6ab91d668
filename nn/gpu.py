"""What kernels for NVIDIA GPUs share. They are written in Pallas, for its Triton backend.

On a CPU they run as plain JAX (Pallas' interpret mode), which is how the tests hold them against what they replace.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton

_SHARED_KIB = {8.0: 163, 8.7: 163, 9.0: 227, 10.0: 227, 10.3: 227}  # by compute capability; of others 99


def shared_memory() -> int:
    """Bytes that a program may keep on the chip: 0 where there are no kernels, before compute capability 8 (Ampere)."""
    device = jax.devices()[0]
    if device.platform != "gpu" or "rocm" in device.client.platform_version:
        return 0
    capability = float(device.compute_capability)
    return _SHARED_KIB.get(capability, 99) << 10 if capability >= 8 else 0


def call(kernel: Callable[..., None], *, warps: int, stages: int = 1, **options: Any) -> Callable[..., Any]:
    """`pallas_call` of a kernel with that many warps a program, loads begun `stages` rounds of its loop ahead."""
    params = triton.CompilerParams(num_warps=warps, num_stages=stages)
    return pl.pallas_call(kernel, compiler_params=params, interpret=_on_cpu(), **options)


def dot(a: jax.Array, b: jax.Array) -> jax.Array:
    """a b of [M, K] and [K, N], summed in float32; float32 factors as TF32 numbers, as XLA takes them on these GPUs."""
    in_tf32 = a.dtype == jnp.float32 and not _on_cpu()
    precision = lax.DotAlgorithmPreset.TF32_TF32_F32 if in_tf32 else None
    return jnp.dot(a, b, precision=precision, preferred_element_type=jnp.float32)


def _on_cpu() -> bool:
    return jax.devices()[0].platform == "cpu"
