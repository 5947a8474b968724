"""Folders, files and indexes of one sensor -> what must be known of its rasters."""

import os
from collections.abc import Iterable

from rich.progress import track

from xstars_lightning.datasets.archive.geoparquet import read_index
from xstars_lightning.datasets.files import find_rasters
from xstars_lightning.datasets.raster_file import RasterFile, inspect_raster, uniform
from xstars_lightning.sensors import Sensor

__all__ = ["PathLike", "list_rasters"]

INDEX = (".parquet", ".geoparquet")
PathLike = str | os.PathLike[str]


def list_rasters(paths: PathLike | Iterable[PathLike], sensor: Sensor) -> list[RasterFile]:
    """List the rasters of one sensor.

    Args:
        paths: One or several of what :func:`find_rasters` takes, whose files are opened and checked, or
            an index (``*.parquet``, see ``xstars index``), of whose files none is opened.
        sensor: Their bands, and nodata of last resort.

    Raises:
        FileNotFoundError: If a path does not exist or holds no raster, or a file of an index is gone.
        OSError: If a file cannot be read.
        ValueError: If a file does not fit the sensor or has changed since it was indexed, or pixel sizes
            differ.
    """
    several = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    indexes = [path for path in several if os.fspath(path).endswith(INDEX)]
    files = []
    for path in indexes:
        footprints = read_index(path)
        if not len(footprints):
            raise FileNotFoundError(f"The index {path} holds no scene. Make it anew by `xstars index`.")
        files += [footprints.file(row, sensor) for row in range(len(footprints))]
    others = [path for path in several if path not in indexes]
    if others or not indexes:
        found = find_rasters(others)
        shown = track(found, f"Indexing {sensor.name}", transient=True, disable=len(found) <= 50)
        files += [inspect_raster(path, sensor) for path in shown]
    return uniform(files)
