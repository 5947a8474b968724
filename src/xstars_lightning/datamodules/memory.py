"""Memory of reading processes that stays as it is over an epoch."""

import ctypes

__all__ = ["keep_flat"]

MMAP_THRESHOLD = -3  # M_MMAP_THRESHOLD of glibc's malloc.h
BYTES = 128 * 1024  # glibc's default, which it raises by itself with every large block that is freed


def keep_flat(worker: int = 0) -> bool:
    """Have this process give large blocks back to the system as soon as they are freed.

    Windows of many sizes otherwise leave holes in a heap that grows for hours. Serves as
    ``worker_init_fn`` of a DataLoader.

    Args:
        worker: Number of the worker; the same is done in all.

    Returns:
        Whether the system's allocator knows how; that of glibc does.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and mallopt(MMAP_THRESHOLD, BYTES) == 1
