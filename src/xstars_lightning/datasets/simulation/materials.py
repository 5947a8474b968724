"""Land-cover classes, and what the ground is made of: reflectance spectra."""

from collections.abc import Sequence
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from xstars_lightning.datasets.simulation.grids import FloatArray

__all__ = ["COLORMAP", "LandCover", "Material", "spectra", "wavelengths"]


class LandCover(IntEnum):
    """Classes of the label map; 0 marks ground without label."""

    UNLABELLED = 0
    WATER = 1
    WOODS = 2
    GRASSLAND = 3
    CROPLAND = 4
    BARE_SOIL = 5
    ROAD = 6
    BUILDING = 7


COLORMAP: dict[int, tuple[int, int, int]] = {
    LandCover.UNLABELLED: (0, 0, 0),
    LandCover.WATER: (49, 120, 198),
    LandCover.WOODS: (26, 99, 52),
    LandCover.GRASSLAND: (152, 201, 105),
    LandCover.CROPLAND: (238, 215, 121),
    LandCover.BARE_SOIL: (176, 130, 93),
    LandCover.ROAD: (96, 96, 104),
    LandCover.BUILDING: (205, 57, 52),
}


class Material(IntEnum):
    """Surfaces with a spectrum of their own."""

    WATER = 0
    BROADLEAF = 1
    CONIFER = 2
    GRASS = 3
    CROP = 4
    FLOWER = 5
    STRAW = 6
    SOIL = 7
    PALE_SOIL = 8
    GRAVEL = 9
    ASPHALT = 10
    CONCRETE = 11
    TILES = 12
    SLATE = 13
    METAL = 14


# Centres in nanometres of the common band names of the STAC electro-optical extension.
_CENTRES = {
    **{"coastal": 443, "blue": 490, "green": 560, "red": 665, "rededge071": 705, "rededge075": 740},
    **{"rededge078": 783, "nir": 842, "nir08": 865, "nir09": 945, "cirrus": 1375, "swir16": 1610},
    "swir22": 2200,
}
_WAVELENGTHS = (443, 490, 560, 665, 705, 740, 783, 860, 1375, 1610, 2200)
# Reflectance in per cent at the wavelengths above: round figures in the manner of spectral libraries.
_REFLECTANCE = {
    Material.WATER: (3.0, 3.3, 3.8, 2.4, 1.8, 1.2, 1.0, 0.8, 0.5, 0.4, 0.3),
    Material.BROADLEAF: (1.9, 2.2, 4.4, 2.4, 7.0, 22, 31, 35, 21, 14, 6.0),
    Material.CONIFER: (1.7, 1.9, 3.0, 2.1, 4.5, 13, 18, 21, 13, 8.5, 4.0),
    Material.GRASS: (3.1, 3.9, 7.6, 5.4, 12, 28, 35, 38, 30, 24, 13),
    Material.CROP: (2.5, 3.0, 6.4, 3.2, 10, 30, 41, 46, 29, 21, 10),
    Material.FLOWER: (3.0, 4.2, 17, 16, 23, 38, 46, 50, 31, 23, 11),
    Material.STRAW: (7.0, 9.5, 15.5, 21, 25, 28, 30, 34, 37, 36, 26),
    Material.SOIL: (5.0, 6.5, 9.2, 13, 15, 17, 19, 22, 29, 31, 26),
    Material.PALE_SOIL: (9.5, 12.5, 18.5, 26, 28, 30, 32, 36, 43, 45, 40),
    Material.GRAVEL: (10, 13, 17.5, 22.5, 24, 26, 28, 31, 36, 37, 34),
    Material.ASPHALT: (6.3, 7.1, 8.5, 9.6, 10, 10.5, 11, 12, 14, 15, 14),
    Material.CONCRETE: (14, 16.5, 21, 25, 28, 29, 30, 32, 35, 36, 33),
    Material.TILES: (5.5, 6.8, 9.8, 18, 21, 23, 24, 26, 32, 34, 31),
    Material.SLATE: (6.2, 6.9, 7.9, 8.6, 8.8, 9.0, 9.4, 10, 12, 13, 12),
    Material.METAL: (28, 31, 34, 36, 37, 38, 39, 41, 43, 42, 38),
}


def wavelengths(bands: Sequence[str]) -> NDArray[np.float64]:
    """Centres of bands in nanometres, (B,).

    Raises:
        ValueError: If a band has no known wavelength.
    """
    if unknown := [band for band in bands if band not in _CENTRES]:
        raise ValueError(
            f"No wavelength is known for the bands {unknown}, so they cannot be simulated. "
            f"Known: {', '.join(_CENTRES)}."
        )
    return np.array([_CENTRES[band] for band in bands], dtype=np.float64)


def spectra(bands: Sequence[str]) -> FloatArray:
    """Reflectance (materials, bands) at the centres of the bands; for errors see `wavelengths`."""
    centres = wavelengths(bands)
    table = [np.interp(centres, _WAVELENGTHS, _REFLECTANCE[material]) / 100 for material in Material]
    return np.asarray(table, dtype=np.float32)
