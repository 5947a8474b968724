"""The pixel grid of a window, and how the grid of a file lies to it."""

import math
from dataclasses import dataclass

from affine import Affine
from pyproj import CRS

from xstars_lightning.datasets.raster_file import RasterFile

__all__ = ["ALIGNED", "Grid", "offset_on", "snapped_grid"]

ALIGNED = 0.01  # pixel; below it a file is read as it is


@dataclass(frozen=True)
class Grid:
    """Pixels on the ground, rows running south.

    Args:
        crs: Coordinate reference system.
        transform: Pixel (column, row) to coordinates.
        width: Columns.
        height: Rows.
    """

    crs: CRS
    transform: Affine
    width: int
    height: int

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """xmin, ymin, xmax, ymax in units of ``crs``."""
        xmin, ymax = self.transform @ (0, 0)
        xmax, ymin = self.transform @ (self.width, self.height)
        return xmin, ymin, xmax, ymax


def snapped_grid(
    x: tuple[float, float],
    y: tuple[float, float],
    crs: CRS,
    res: tuple[float, float],
    anchor: RasterFile | None,
) -> Grid:
    """Lay a grid over a window, moved by at most half a pixel to lie on a file's pixels.

    Args:
        x: West and east edge of the window in units of ``crs``.
        y: South and north edge.
        crs: Coordinate reference system of the window.
        res: Pixel width and height; the window's shape is rounded from them, and so the same for
            all windows of a size.
        anchor: File in ``crs``, north up, on whose pixels the grid is laid; None: the window's own
            upper-left corner.

    Raises:
        ValueError: If the window is smaller than half a pixel.
    """
    width, height = (math.floor(abs(b - a) / size + 0.5) for (a, b), size in zip((x, y), res, strict=True))
    if min(width, height) < 1:
        raise ValueError(
            f"Window x {x}, y {y} is smaller than a pixel of {res}. Ask for a larger window, "
            f"in units of the CRS {crs.name!r}."
        )
    if anchor is None:
        transform = Affine(res[0], 0, x[0], 0, -res[1], y[1])
    else:
        col, row = ~anchor.transform @ (x[0], y[1])
        corner = anchor.transform @ (math.floor(col + 0.5), math.floor(row + 0.5))
        transform = Affine(anchor.transform.a, 0, corner[0], 0, anchor.transform.e, corner[1])
    return Grid(crs, transform, width, height)


def offset_on(grid: Grid, file: RasterFile) -> tuple[int, int] | None:
    """Column and row of the file at which the grid begins.

    CRSs are compared by identity, as :class:`NativeRasterDataset` keeps them.

    Returns:
        None where the pixels do not coincide to 0.01 pixel: the file must be warped.
    """
    if file.crs is not grid.crs or not file.north_up:
        return None
    col, row = ~file.transform @ (grid.transform.c, grid.transform.f)
    stretch = max(
        abs(grid.transform.a / file.transform.a - 1) * grid.width,
        abs(grid.transform.e / file.transform.e - 1) * grid.height,
    )
    start = round(col), round(row)
    if max(abs(col - start[0]), abs(row - start[1]), stretch) > ALIGNED:
        return None
    return start
