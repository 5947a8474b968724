"""Whether a file is still the one that was indexed."""

import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xstars_lightning.datasets.archive.footprints import Footprints

__all__ = ["UNSTAMPED", "check_stamp", "is_virtual", "stamp_of"]

UNSTAMPED = (-1, -1)


def is_virtual(path: str) -> bool:
    """Whether a path is a name for GDAL (``/vsi...``, ``scheme://``), which the system does not know."""
    return path.startswith("/vsi") or "://" in path


def stamp_of(path: str) -> tuple[int, int]:
    """Size in bytes and time of last change in nanoseconds; (-1, -1) of a name for GDAL.

    The size of a folder, which depends on the disk, counts as -1; its time changes with the files directly
    in it.

    Raises:
        OSError: If there is no such file.
    """
    if is_virtual(path):
        return UNSTAMPED
    status = os.stat(path)
    return -1 if stat.S_ISDIR(status.st_mode) else status.st_size, status.st_mtime_ns


def check_stamp(footprints: "Footprints", row: int) -> None:
    """Check that the file of a row is there and as it was when it was indexed; costs one ``stat``.

    Files of which the index holds no stamp must only be there.

    Raises:
        FileNotFoundError: If it is gone.
        ValueError: If its size or time has changed since.
    """
    path, source = footprints.path[row].as_py(), footprints.source
    try:
        now = stamp_of(path)
    except OSError as error:
        raise FileNotFoundError(
            f"{path} is in the index {source}, but cannot be found ({error.strerror}). Bring it back, or "
            "bring the index up to date: `xstars index FOLDER --sensor NAME --out INDEX.parquet`."
        ) from error
    then = tuple(footprints.stamp[row].tolist())
    if then == UNSTAMPED or now in (UNSTAMPED, then):
        return
    what, old, new = next(
        change
        for change in zip(("size (bytes)", "time of last change (ns)"), then, now, strict=True)
        if change[1] != change[2]
    )
    raise ValueError(
        f"{path} has changed since it was put into the index {source}: {what} was {old}, is {new}. Bring the "
        "index up to date, which opens changed files only: `xstars index FOLDER --sensor NAME --out "
        "INDEX.parquet`."
    )
