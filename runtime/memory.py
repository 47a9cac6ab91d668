"""How the C library treats memory that a process frees."""

import ctypes
import os

_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8  # parameters of mallopt(3), glibc's <malloc.h>


def keep_freed_memory() -> bool:
    """Lets this process keep what it frees, for its next allocation; False where the C library cannot.

    XLA allocates the temporary arrays of a CPU program at each call. glibc maps large ones anew and unmaps them
    afterwards, so that in every training step the kernel clears tens of thousands of pages, a third of SAQRec's time.
    Kept, they cost nothing; the process stays as large as it ever was. To be called before there are threads, of which
    each would else get a pool of its own, too small for large arrays. A setting of MALLOC_… in the environment stays.
    """
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "gnu_get_libc_version") or any(name.startswith("MALLOC_") for name in os.environ):
        return False
    wanted = ((_ARENA_MAX, 1), (_MMAP_MAX, 0), (_TRIM_THRESHOLD, -1))  # one pool; no maps; never give back
    return all(libc.mallopt(parameter, value) for parameter, value in wanted)
