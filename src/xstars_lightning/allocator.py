"""What glibc's allocator does with large blocks of memory, by process."""

import ctypes
import sys

__all__ = ["keep_blocks", "return_blocks"]

# Numbers of options in glibc's malloc.h, and its defaults.
TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX = -1, -3, -4
BYTES, MAPPINGS = 128 * 1024, 65536
NEVER = -1


def keep_blocks() -> bool:
    """Have this process keep large blocks for the next step when they are freed.

    By default every activation is asked of the system and given back, step after step, and the system
    hands out each page anew and filled with zeros. For training on the CPU; elsewhere it changes nothing.

    Returns:
        Whether the system's allocator knows how; that of glibc does.
    """
    return _set({MMAP_MAX: 0, TRIM_THRESHOLD: NEVER})


def return_blocks(worker: int = 0) -> bool:
    """Have this process give large blocks back to the system as soon as they are freed.

    Windows of many sizes otherwise leave holes in a heap that grows for hours, as glibc raises its
    threshold by itself with every large block that is freed. Serves as ``worker_init_fn`` of a DataLoader.

    Args:
        worker: Number of the worker; the same is done in all.

    Returns:
        As :func:`keep_blocks`.
    """
    return _set({MMAP_MAX: MAPPINGS, MMAP_THRESHOLD: BYTES, TRIM_THRESHOLD: BYTES})


def _set(options: dict[int, int]) -> bool:
    if sys.platform != "linux":  # Windows has no library of the process itself to ask
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and all(mallopt(option, value) == 1 for option, value in options.items())
