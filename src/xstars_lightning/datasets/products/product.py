"""A folder with a file per band, as GDAL is told of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rasterio.errors import RasterioIOError

from xstars_lightning.datasets.products.vrt import BandFile, band_file, describe

__all__ = ["Product", "combine"]


@dataclass(frozen=True)
class Product:
    """Bands and quality band of a product on one grid.

    Args:
        image: The bands, as XML that GDAL opens.
        quality: The quality band on the same grid, likewise; None if there is none.
        valid: Whether a pixel is valid, by value of the quality band.
    """

    image: str
    quality: str | None = None
    valid: NDArray[np.bool_] | None = None


def combine(
    folder: str,
    files: Mapping[str, str],
    wanted: Sequence[str],
    quality: tuple[str, NDArray[np.bool_]] | None,
    kind: str,
    nodata: int,
    offsets: Mapping[str, float] | None = None,
) -> Product:
    """Put bands together on the grid of the finest one wanted.

    Args:
        folder: Of the product, for messages.
        files: File per band that the product has, by common name.
        wanted: Bands in order.
        quality: File of the quality band, and what its values mean.
        kind: GDAL's name of the type of the result.
        nodata: What marks missing pixels in the result.
        offsets: Added to the values of a band; 0 by default.

    Raises:
        OSError: If a file cannot be opened.
        ValueError: If the product lacks a band.
    """
    if missing := [band for band in wanted if band not in files]:
        raise ValueError(
            f"{folder} has no band {', '.join(missing)}; it has {', '.join(files) or 'none that is known'}. "
            "Leave the band out of the sensor, or choose a product that has it."
        )
    offsets = offsets or {}
    bands = [_look(folder, files[band], offsets.get(band, 0.0)) for band in wanted]
    grid = min(bands, key=lambda band: band.transform.a)
    image = describe(bands, grid, kind, nodata)
    if quality is None:
        return Product(image)
    path, valid = quality
    return Product(image, describe([_look(folder, path)], grid), valid)


def _look(folder: str, path: str, offset: float = 0.0) -> BandFile:
    try:
        return band_file(path, offset)
    except RasterioIOError as error:
        raise OSError(
            f"The product {folder} is incomplete: {path} cannot be opened ({error}). "
            "Restore the product from its source, or remove it."
        ) from error
