"""Sentinel-2 products in SAFE folders, level 1C and 2A [0].

References:
    [0] Sentinel-2 Products Specification Document, https://sentiwiki.copernicus.eu/web/s2-products
"""

from pathlib import Path
from xml.etree import ElementTree

from xstars_lightning.datasets.masks import SCL
from xstars_lightning.datasets.products.product import Product, combine

__all__ = ["open_safe"]

# In the order of the metadata's band_id, 0 to 12.
BANDS = {
    "coastal": "B01",
    "blue": "B02",
    "green": "B03",
    "red": "B04",
    "rededge071": "B05",
    "rededge075": "B06",
    "rededge078": "B07",
    "nir": "B08",
    "nir08": "B8A",
    "nir09": "B09",
    "cirrus": "B10",
    "swir16": "B11",
    "swir22": "B12",
}
MISSING = -9999  # out of reach of any value with its offset


def open_safe(folder: str, wanted: tuple[str, ...]) -> Product:
    """Describe the bands of a product as one raster of 32-bit integers.

    From processing baseline 04.00 (January 2022) on, products hold reflectance x 10000 + 1000. The offset
    that the metadata give per band (``BOA_ADD_OFFSET``, ``RADIO_ADD_OFFSET``) is added, so that values are
    comparable across baselines: dark pixels may become negative, and none is clipped. The 0 of missing
    pixels becomes -9999. Of level 2A, the scene classification says which pixels are valid.

    Args:
        folder: ``S2._MSIL1C_....SAFE`` or ``S2._MSIL2A_....SAFE``, of one tile, as delivered since 2016.
        wanted: Common names of the bands. The finest gives the grid, coarser ones are interpolated.

    Raises:
        OSError: If a file is missing or cannot be opened.
        ValueError: If the product lacks a band.
    """
    root = Path(folder)
    metadata = [path for level in ("1C", "2A") if (path := root / f"MTD_MSIL{level}.xml").exists()]
    granules = [path for path in root.glob("GRANULE/*") if path.is_dir()]
    if len(metadata) != 1 or len(granules) != 1:
        raise OSError(
            f"{folder} is no Sentinel-2 product of one tile: it holds {len(metadata)} of MTD_MSIL1C.xml and "
            f"MTD_MSIL2A.xml and {len(granules)} folders in GRANULE, not one of each. Restore the product "
            "from its source, or remove it."
        )
    found = {name: file for name, code in BANDS.items() if (file := _finest(granules[0], code))}
    quality = None
    if metadata[0].name == "MTD_MSIL2A.xml":
        if (classes := _finest(granules[0], "SCL")) is None:
            raise OSError(f"{folder} lacks its scene classification (*_SCL_20m.jp2): restore the product.")
        quality = (classes, SCL)
    return combine(folder, found, wanted, quality, "Int32", MISSING, _offsets(metadata[0]))


def _finest(granule: Path, code: str) -> str | None:
    """File of a band, ``R10m`` before ``R20m`` before ``R60m``; level 1C has no such folders."""
    files = [*granule.glob(f"IMG_DATA/*_{code}.jp2"), *granule.glob(f"IMG_DATA/R*/*_{code}_*.jp2")]
    return str(min(files, key=lambda file: file.parent.name)) if files else None


def _offsets(metadata: Path) -> dict[str, float]:
    """What to add to each band's values; nothing before baseline 04.00."""
    tags = ("BOA_ADD_OFFSET", "RADIO_ADD_OFFSET")
    try:
        elements = [element for element in ElementTree.parse(metadata).iter() if element.tag in tags]
        names = list(BANDS)
        return {names[int(element.attrib["band_id"])]: float(element.text or 0) for element in elements}
    except (ElementTree.ParseError, KeyError, ValueError, IndexError) as error:
        raise OSError(f"{metadata} cannot be read ({error}): restore the product from its source.") from error
