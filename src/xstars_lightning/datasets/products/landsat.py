"""Landsat Collection 2 products in folders, level 1 and level 2 (surface reflectance) [0].

References:
    [0] https://www.usgs.gov/landsat-missions/landsat-collection-2
"""

from pathlib import Path

from xstars_lightning.datasets.masks import QA_PIXEL
from xstars_lightning.datasets.products.product import Product, combine

__all__ = ["open_landsat"]

_TM = {"blue": 1, "green": 2, "red": 3, "nir08": 4, "swir16": 5, "swir22": 7}
_OLI = {"coastal": 1, "blue": 2, "green": 3, "red": 4, "nir08": 5, "swir16": 6, "swir22": 7}
# Number per band, by the first four letters of the product.
BANDS = {"LT04": _TM, "LT05": _TM, "LE07": {**_TM, "pan": 8}}
BANDS |= {name: {**_OLI, "pan": 8, "cirrus": 9} for name in ("LC08", "LC09", "LO08", "LO09")}


def open_landsat(folder: str, wanted: tuple[str, ...]) -> Product:
    """Describe the bands of a product as one raster of unsigned 16-bit integers.

    Values are the digital numbers of the files, 0 where missing. ``QA_PIXEL`` says which are valid.

    Args:
        folder: ``LC08_L2SP_198030_20220115_20220123_02_T1`` and the like.
        wanted: Common names of the bands. The finest gives the grid, coarser ones are interpolated.

    Raises:
        OSError: If a file is missing or cannot be opened.
        ValueError: If the product lacks a band.
    """
    root = Path(folder)
    prefix = "SR_B" if root.name[5:7] == "L2" else "B"
    paths = {
        name: root / f"{root.name}_{prefix}{number}.TIF"
        for name, number in BANDS.get(root.name[:4], {}).items()
    }
    quality = root / f"{root.name}_QA_PIXEL.TIF"
    if not quality.exists():
        raise OSError(f"{folder} lacks its quality band {quality.name}: restore the product from its source.")
    found = {name: str(path) for name, path in paths.items() if path.exists()}
    return combine(folder, found, wanted, (str(quality), QA_PIXEL), "UInt16", 0)
