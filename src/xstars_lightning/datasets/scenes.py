"""Whole scenes, cut into overlapping windows on one grid of patches."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from pyproj import CRS
from rasterio.windows import Window
from scipy.ndimage import distance_transform_edt

from xstars_lightning.datasets.archive.broken import BrokenFiles
from xstars_lightning.datasets.archive.footprints import Footprints
from xstars_lightning.datasets.archive.lonlat import to_lonlat
from xstars_lightning.datasets.handles import open_raster
from xstars_lightning.datasets.mosaic import scaled
from xstars_lightning.datasets.pixels import read_pixels
from xstars_lightning.datasets.raster_file import RasterFile
from xstars_lightning.datasets.scene_names import scene_names
from xstars_lightning.datasets.tiling import Tiling, window_starts
from xstars_lightning.sensors import Sensor

__all__ = ["Scene", "cut_scenes"]

Int = NDArray[np.int64]


@dataclass(frozen=True)
class Scene:
    """A raster and the windows that cover it.

    The grid of patches begins at the raster's upper-left pixel, and windows begin on it. Where the
    raster is smaller than a window, or no multiple of a patch, windows reach beyond its right and
    lower edge; what they show there is invalid.

    Args:
        name: Of what is made of the scene: a relative path without extension.
        file: The raster.
        time: Begin of the acquisition, UTC; NaT where unknown.
        stamp: Size in bytes and time of last change in nanoseconds; -1 where unknown.
        tiling: How it is cut.
    """

    name: str
    file: RasterFile
    time: np.datetime64
    stamp: tuple[int, int]
    tiling: Tiling

    @property
    def path(self) -> str:
        """The raster's path."""
        return self.file.path

    @property
    def crs(self) -> CRS:
        """The raster's coordinate reference system."""
        return self.file.crs

    @property
    def patch_transform(self) -> Affine:
        """Patch (column, row) to coordinates in ``crs``."""
        return self.file.transform @ Affine.scale(self.tiling.patch_size)

    @property
    def patch_shape(self) -> tuple[int, int]:
        """Rows and columns of patches; the last ones may reach beyond the raster."""
        patch = self.tiling.patch_size
        return math.ceil(self.file.height / patch), math.ceil(self.file.width / patch)

    @cached_property
    def rows(self) -> Int:
        """Pixel rows at which windows begin."""
        return window_starts(self.file.height, self.tiling)

    @cached_property
    def cols(self) -> Int:
        """Pixel columns at which windows begin."""
        return window_starts(self.file.width, self.tiling)

    def __len__(self) -> int:
        """Number of windows."""
        return len(self.rows) * len(self.cols)

    def corner(self, number: int) -> tuple[int, int]:
        """Row and column at which a window begins; windows are numbered row by row from the top."""
        row, col = divmod(number, len(self.cols))
        return int(self.rows[row]), int(self.cols[col])

    def read(self, row: int, col: int, sensor: Sensor) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Read a window.

        Returns:
            Values (C, window, window), scaled so that the sensor's value range becomes [0, 1]; and validity
            (window, window). An invalid pixel has the values of the nearest valid one: 0 would be
            embedded as dark ground, a rim around every scene. Without a valid pixel all are 0.

        Raises:
            OSError: If a block cannot be read.
            ValueError: If a valid pixel is NaN or infinite.
        """
        side = self.tiling.window
        width, height = min(side, self.file.width - col), min(side, self.file.height - row)
        values, valid = read_pixels(open_raster(self.path, sensor), sensor, Window(col, row, width, height))
        beyond = ((0, side - height), (0, side - width))
        image, valid = np.pad(scaled(values, valid, sensor), ((0, 0), *beyond)), np.pad(valid, beyond)
        return _filled(image, valid), valid

    def footprints(self, rows: Sequence[int], cols: Sequence[int]) -> NDArray[np.object_]:
        """Windows, as far as they lie on the raster: polygons (N,) in OGC:CRS84, cut at the antimeridian."""
        top, left = np.asarray(rows), np.asarray(cols)
        bottom = np.minimum(top + self.tiling.window, self.file.height)
        right = np.minimum(left + self.tiling.window, self.file.width)
        boxes = shapely.box(left, top, right, bottom)
        a, b, c, d, e, f = self.file.transform[:6]
        placed = shapely.transform(boxes, lambda xy: xy @ np.array([[a, d], [b, e]]) + (c, f))
        return to_lonlat(placed, np.zeros(len(placed), dtype=np.int32), [self.crs])[0]


def _filled(image: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
    if valid.all() or not valid.any():
        return image
    nearest = distance_transform_edt(~valid, return_distances=False, return_indices=True)
    return image[:, *nearest]


def cut_scenes(
    footprints: Footprints,
    sensor: Sensor,
    tiling: Tiling,
    root: str | None = None,
    skip_broken: bool = False,
) -> list[Scene]:
    """Cut every raster of an index.

    Args:
        footprints: Where the rasters lie.
        sensor: With which they are opened.
        tiling: How they are cut.
        root: Folder below which they are named; see :func:`scene_names`.
        skip_broken: Leave rasters out that have vanished or changed, and say which.

    Returns:
        A scene per row, but for those that are left out.

    Raises:
        FileNotFoundError: If a raster has vanished since it was indexed.
        ValueError: If one has changed since, or none is left.
    """
    paths, broken = footprints.path.to_pylist(), BrokenFiles(skip_broken)
    rows = {path: row for row, path in enumerate(paths)}
    files = [broken.attempt(lambda path: footprints.file(rows[path], sensor), path) for path in paths]
    broken.report(len(paths))
    if len(broken.errors) == len(paths):
        raise ValueError(f"None of {len(paths)} rasters can be used; the log says why.")
    times = footprints.time[:, 0]
    stamps = [(size, changed) for size, changed in footprints.stamp.tolist()]
    parts = zip(scene_names(paths, root), files, times, stamps, strict=True)
    return [Scene(name, file, time, stamp, tiling) for name, file, time, stamp in parts if file is not None]
