"""The outline of the valid pixels of a raster."""

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.features import shapes, sieve
from rasterio.io import DatasetReader
from shapely.geometry import shape as to_geometry
from shapely.geometry.base import BaseGeometry

from xstars_lightning.datasets.handles import OpenRaster
from xstars_lightning.datasets.pixels import read_pixels
from xstars_lightning.sensors import Sensor

__all__ = ["raster_box", "valid_outline"]

LONGEST_SIDE = 512  # cells of the decimated mask: fine enough for windows of 1/20 of the image
SPECK = 32  # cells; smaller holes (dark pixels that equal nodata) and islands do not count


def raster_box(source: DatasetReader) -> BaseGeometry:
    """The quadrilateral of a raster in its own CRS, rotated where the raster is."""
    width, height = source.width, source.height
    corners = ((0, 0), (width, 0), (width, height), (0, height))
    return shapely.Polygon([source.transform @ corner for corner in corners])


def valid_outline(raster: OpenRaster, sensor: Sensor) -> BaseGeometry:
    """Outline the valid pixels of a raster, never claiming more than there is.

    Larger images are outlined on a mask decimated to 512 cells on their longest side, simplified
    within one such cell towards the inside; edges at which the image itself is valid stay exact.

    Args:
        raster: An open file.
        sensor: Gives nodata where the file declares none.

    Returns:
        Polygon or multipolygon in the raster's own CRS; empty if no pixel is valid.
    """
    source = raster.source
    box = raster_box(source)
    if raster.all_valid and sensor.nodata is None:
        return box
    factor = max(source.width, source.height) / LONGEST_SIDE
    height, width = (max(1, round(side / max(1.0, factor))) for side in source.shape)
    _, valid = read_pixels(raster, sensor, shape=(height, width))
    if valid.all():
        return box
    cells = source.transform @ Affine.scale(source.width / width, source.height / height)
    holes = np.array(_invalid(valid, cells), dtype=object)
    if factor > 1:
        holes = _simplified(holes, abs(cells.determinant) ** 0.5)
    return shapely.difference(box, shapely.union_all(holes))


def _invalid(valid: NDArray[np.bool_], cells: Affine) -> list[BaseGeometry]:
    """Polygons around the invalid cells of a mask (H, W), without specks."""
    mask = valid.astype(np.uint8)
    if mask.size > 64 * SPECK:
        mask = sieve(mask, SPECK)
    return [to_geometry(polygon) for polygon, _ in shapes(mask, mask=mask == 0, transform=cells)]


def _simplified(holes: NDArray[np.object_], cell: float) -> NDArray[np.object_]:
    """Grow by a cell, then simplify by as much: the result covers the holes."""
    # Mitred, for a hole at the image's edge to grow along the edge and not around the corner.
    grown = shapely.buffer(holes, cell, join_style="mitre", cap_style="flat")
    return shapely.simplify(grown, cell)
