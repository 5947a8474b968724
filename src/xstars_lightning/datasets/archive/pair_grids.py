"""The pixel grids on which the sensors of a pair are read for a window."""

import math
from collections.abc import Mapping

import numpy as np
from pyproj import CRS

from xstars_lightning.datasets.archive.pairs import PairWindow
from xstars_lightning.datasets.grid import Grid, snapped_grid
from xstars_lightning.datasets.raster_file import RasterFile

__all__ = ["lay_grids"]

LIKE = 0.1  # pixels by which a window of a file's own pixels may differ in extent from the nominal


def lay_grids(
    window: PairWindow, crs: CRS, files: Mapping[str, RasterFile | None], resolutions: Mapping[str, float]
) -> dict[str, Grid]:
    """Lay a grid per sensor over a window, on the sensor's own pixels where that is possible.

    The window is first moved by at most half a pixel onto those of the coarsest file that lies upright in
    its CRS, and each grid onto its own file's pixels from there.

    Args:
        window: Where.
        crs: Its coordinate reference system; files in it have the same object.
        files: File per sensor; None: it has none there.
        resolutions: Pixel sizes in metres, by sensor.

    Returns:
        Grids by sensor, of one shape for all windows of a size. Where a file is not upright, or its pixels
        have another size, the grid begins at the moved window's upper-left corner, for it to be warped.

    Raises:
        ValueError: If the window is smaller than half a pixel.
    """
    shapes = {key: _shape(window, resolution) for key, resolution in resolutions.items()}
    anchors = {
        key: file
        for key, file in files.items()
        if file is not None and file.crs is crs and _upright(file, resolutions[key], shapes[key])
    }

    def lay(key: str, left: float, top: float) -> Grid:
        size, (height, width) = resolutions[key], shapes[key]
        x, y = (left, left + width * size), (top - height * size, top)
        return snapped_grid(x, y, crs, (size, size), anchors.get(key))

    left, top = window.xmin, window.ymax
    if anchors:
        coarsest = max(anchors, key=lambda key: resolutions[key])
        left, _, _, top = lay(coarsest, left, top).bounds
    return {key: lay(key, left, top) for key in files}


def _shape(window: PairWindow, size: float) -> tuple[int, int]:
    """Height and width in pixels, the same for all windows of a size whatever their last bits say."""
    spans = (window.ymax - window.ymin, window.xmax - window.xmin)
    height, width = (math.floor(round(span / size, 6) + 0.5) for span in spans)
    return height, width


def _upright(file: RasterFile, size: float, shape: tuple[int, int]) -> bool:
    """Whether a file is read as it is: north up, its pixels of the usual size."""
    stretch = np.abs(np.divide(file.pixel_size, size) - 1)
    return file.north_up and bool((stretch * shape[::-1] < LIKE).all())
