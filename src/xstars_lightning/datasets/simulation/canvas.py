"""The landscape on its grid, as the layers paint it and the sensors see it."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from xstars_lightning.datasets.simulation.grids import FloatArray
from xstars_lightning.datasets.simulation.materials import LandCover, Material

__all__ = ["Landscape", "Use"]


class Use(IntEnum):
    """What a parcel is used for."""

    WHEAT = 0
    RAPESEED = 1
    MAIZE = 2
    SUNFLOWER = 3
    VINEYARD = 4
    MEADOW = 5
    BARE = 6
    BROADLEAF = 7
    CONIFER = 8


_MATERIAL_COVER = {
    Material.WATER: LandCover.WATER,
    Material.BROADLEAF: LandCover.WOODS,
    Material.CONIFER: LandCover.WOODS,
    Material.GRASS: LandCover.GRASSLAND,
    Material.GRAVEL: LandCover.BARE_SOIL,
    Material.CONCRETE: LandCover.BARE_SOIL,
    Material.ASPHALT: LandCover.ROAD,
    Material.TILES: LandCover.BUILDING,
    Material.SLATE: LandCover.BUILDING,
    Material.METAL: LandCover.BUILDING,
}
_USE_COVER = {
    Use.MEADOW: LandCover.GRASSLAND,
    Use.BARE: LandCover.BARE_SOIL,
    Use.BROADLEAF: LandCover.WOODS,
    Use.CONIFER: LandCover.WOODS,
}


@dataclass
class Landscape:
    """What a sensor can see, on one grid (H, W).

    Args:
        resolution: Metres per sample.
        surface: A material, or ``len(Material)`` + number of a parcel; uint16.
        height: Of trees and buildings above the ground, in metres.
        relief: Height of the ground in metres.
        texture: Factor of the brightness, around 1.
        vigour: Departure from the usual density of plants, around 0, mostly within -1 and 1.
        uses: `Use` of each parcel, (P,).
    """

    resolution: float
    surface: NDArray[np.uint16]
    height: FloatArray
    relief: FloatArray
    texture: FloatArray
    vigour: FloatArray
    uses: NDArray[np.int64]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.surface.shape[0], self.surface.shape[1]

    @property
    def cover(self) -> NDArray[np.uint8]:
        """Land-cover classes (H, W), see `LandCover`."""
        materials = [_MATERIAL_COVER.get(material, LandCover.CROPLAND) for material in Material]
        parcels = [_USE_COVER.get(Use(use), LandCover.CROPLAND) for use in self.uses]
        return np.array([*materials, *parcels], dtype=np.uint8)[self.surface]

    def use_at(self, *uses: Use) -> NDArray[np.bool_]:
        """True (H, W) on parcels of the given uses that nothing else covers yet."""
        wanted = np.concatenate([np.zeros(len(Material), dtype=bool), np.isin(self.uses, uses)])
        return wanted[self.surface]
