"""Water, roads, gardens and buildings, painted on top of fields and woods."""

import numpy as np
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from xstars_lightning.datasets.simulation.canvas import Landscape
from xstars_lightning.datasets.simulation.materials import Material
from xstars_lightning.datasets.simulation.network import Network
from xstars_lightning.datasets.simulation.painting import mask
from xstars_lightning.datasets.simulation.painting import paint as _paint
from xstars_lightning.datasets.simulation.parcels import Parcels
from xstars_lightning.datasets.simulation.settlements import Settlements

__all__ = ["paint_buildings", "paint_gardens", "paint_roads", "paint_water"]

_SUN = np.radians(150)  # clockwise from north; roofs that face it are the bright ones


def _cover(land: Landscape, where: NDArray[np.bool_], material: Material, texture: float = 1.0) -> None:
    """Level ground of one material."""
    land.surface[where] = material
    land.height[where] = 0
    land.vigour[where] = 0
    land.texture[where] = texture + 0.3 * (land.texture[where] - 1)


def paint_water(land: Landscape, network: Network) -> None:
    """Fill river and ponds."""
    river = network.river.buffer(network.width / 2)
    _cover(land, mask([river, *network.ponds], land.shape, land.resolution), Material.WATER)


def paint_roads(land: Landscape, network: Network, parcels: Parcels, homes: Settlements) -> None:
    """Farm tracks, streets and roads with their verges; bridges over water come by themselves."""
    r = land.resolution
    dry = land.surface != Material.WATER
    tracks = mask([line.buffer(1.6) for line in parcels.tracks], land.shape, r) & dry
    _cover(land, tracks, Material.GRAVEL, 0.78)
    _cover(
        land, mask([line.buffer(6.5) for line in network.roads], land.shape, r) & dry, Material.GRASS, 1.05
    )
    streets: list[BaseGeometry] = [line.buffer(2.6) for line in homes.streets]
    roads = [line.buffer(3.9) for line in network.roads]
    _cover(land, mask([*streets, *roads], land.shape, r), Material.ASPHALT)


def paint_gardens(land: Landscape, homes: Settlements, rng: np.random.Generator) -> None:
    """A garden around every house, each kept in its own way, and yards around sheds."""
    plots, r = homes.rectangles(grow=12.0), land.resolution
    dry = land.surface != Material.WATER
    _cover(land, mask(plots, land.shape, r) & dry, Material.GRASS)
    _paint(land.vigour, plots, rng.normal(-0.2, 0.9, len(plots)), r)
    _paint(land.texture, plots, rng.normal(1.1, 0.16, len(plots)).clip(0.7, 1.6), r)
    drives = np.concatenate([homes.rectangles(grow=9.0)[homes.shed], homes.rectangles(grow=2.5)[~homes.shed]])
    drives = drives[rng.random(len(drives)) < 0.45]
    material = np.where(rng.random(len(drives)) < 0.6, Material.GRAVEL, Material.CONCRETE)
    _paint(land.surface, drives, material, r)


def _roofs(homes: Settlements, rng: np.random.Generator) -> NDArray[np.int64]:
    count = len(homes.shed)
    houses = rng.choice(
        [Material.TILES, Material.SLATE], count, p=(tiles := rng.uniform(0.55, 0.95), 1 - tiles)
    )
    sheds = rng.choice([Material.METAL, Material.SLATE, Material.CONCRETE], count, p=(0.5, 0.35, 0.15))
    return np.where(homes.shed, np.where(sheds == Material.CONCRETE, Material.TILES, sheds), houses)


def paint_buildings(land: Landscape, homes: Settlements, rng: np.random.Generator) -> None:
    """Gable roofs: two planes, brighter where they face the sun."""
    r, roofs = land.resolution, _roofs(homes, rng)
    tone = rng.normal(1.0, 0.13, len(roofs)).clip(0.65, 1.4)
    tops = np.where(homes.shed, rng.uniform(6, 10, len(roofs)), rng.uniform(5, 8, len(roofs)))
    for low, high in ((-1.0, 0.0), (0.0, 1.0)):
        planes = homes.rectangles(low=low, high=high)
        # Outward direction of the plane; x to the right and y downwards, so north is -y.
        turn = homes.angle + np.pi / 2 * (1 if high > 0 else -1)
        facing = np.cos(turn) * np.sin(_SUN) - np.sin(turn) * np.cos(_SUN)
        slope = np.where(homes.shed, 0.12, 0.3)
        _paint(land.surface, planes, roofs, r)
        _paint(land.texture, planes, tone * (1 + slope * facing), r)
        _paint(land.height, planes, tops, r)
        _paint(land.vigour, planes, 0.0, r)
