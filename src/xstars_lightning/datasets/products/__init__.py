"""Scenes that come as a folder with a file per band."""

import os
import re
from collections.abc import Iterable

from xstars_lightning.datasets.products.landsat import open_landsat
from xstars_lightning.datasets.products.product import Product
from xstars_lightning.datasets.products.sentinel2_safe import open_safe

__all__ = ["Product", "is_product", "open_product"]

LANDSAT = re.compile(r"L[COTEM]0[4-9]_")


def is_product(folder: str, files: Iterable[str] | None = None) -> bool:
    """Whether a folder is one scene, by its name and what lies in it.

    Args:
        folder: The folder.
        files: Names of the files in it; looked up by default.
    """
    name = os.path.basename(os.path.normpath(folder))
    if name.upper().endswith(".SAFE"):
        return True
    if not LANDSAT.match(name):
        return False
    names = os.listdir(folder) if files is None else files
    return any(file.endswith(("_MTL.txt", "_QA_PIXEL.TIF")) for file in names)


def open_product(folder: str, bands: tuple[str, ...]) -> Product:
    """Describe the bands of a product as one raster.

    Args:
        folder: Sentinel-2 SAFE folder or Landsat Collection 2 folder.
        bands: Common names of the bands wanted, in order.

    Raises:
        OSError: If a file is missing or cannot be opened.
        ValueError: If the product lacks a band.
    """
    folder = os.path.normpath(folder)
    return (open_safe if folder.upper().endswith(".SAFE") else open_landsat)(folder, bands)
