"""Simulated scenes as georeferenced files."""

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.transform import Affine

from xstars_lightning.datasets.simulation.materials import COLORMAP, LandCover
from xstars_lightning.datasets.simulation.radiometry import nodata_of
from xstars_lightning.sensors import Sensor

__all__ = ["GRID", "place", "write_cover", "write_image"]

GRID = 30  # metres: origins and extents are multiples, so that grids of 1.5, 10 and 30 m coincide
_CRS = "EPSG:2154"  # Lambert-93, in metres
_CORNER = (600_000, 6_600_000)  # somewhere in the middle of France
_COLUMNS = 4


def place(scene: int, extent: float, resolution: float) -> Affine:
    """Where a scene lies: the scenes stand on a lattice with gaps as wide as themselves."""
    row, column = divmod(scene, _COLUMNS)
    west, north = _CORNER[0] + 2 * column * extent, _CORNER[1] - 2 * row * extent
    return Affine(resolution, 0, west, 0, -resolution, north)


def _profile(pixels: NDArray[Any], transform: Affine, nodata: int) -> dict[str, Any]:
    return {
        "driver": "GTiff",
        **dict(zip(("count", "height", "width"), pixels.shape, strict=True)),
        "dtype": pixels.dtype.name,
        "crs": _CRS,
        "transform": transform,
        "nodata": nodata,
        **{"tiled": True, "blockxsize": 256, "blockysize": 256, "interleave": "pixel"},
        **{"compress": "deflate", "zlevel": 4},
    }


def write_image(path: Path, pixels: NDArray[Any], sensor: Sensor, transform: Affine) -> None:
    """Write the digital numbers (B, H, W) of one scene; the bands carry their names."""
    profile = _profile(pixels, transform, nodata_of(sensor))
    with rasterio.open(path, "w", predictor=2, photometric="MINISBLACK", **profile) as file:
        file.write(pixels)
        file.descriptions = sensor.bands
        colours = {"red": ColorInterp.red, "green": ColorInterp.green, "blue": ColorInterp.blue}
        file.colorinterp = [colours.get(band, ColorInterp.undefined) for band in sensor.bands]


def write_cover(path: Path, cover: NDArray[np.uint8], transform: Affine) -> None:
    """Write the land-cover classes (H, W) with their colours, and their names as tags."""
    with rasterio.open(path, "w", **_profile(cover[None], transform, int(LandCover.UNLABELLED))) as file:
        file.write(cover, 1)
        file.write_colormap(1, COLORMAP)
        file.update_tags(1, **{f"class_{int(c)}": c.name.lower() for c in LandCover})
