"""A procedural landscape: fields, woods, water, roads and villages seen from above.

Shapes are laid out as vectors in metres and painted onto the grid from the ground up; textures are
band-limited noise. Everything follows from one random generator.
"""

import numpy as np
from shapely import box

from xstars_lightning.datasets.simulation.built import (
    paint_buildings,
    paint_gardens,
    paint_roads,
    paint_water,
)
from xstars_lightning.datasets.simulation.canvas import Landscape
from xstars_lightning.datasets.simulation.fields import Region, paint_fields
from xstars_lightning.datasets.simulation.materials import COLORMAP, LandCover
from xstars_lightning.datasets.simulation.network import make_network
from xstars_lightning.datasets.simulation.parcels import make_parcels
from xstars_lightning.datasets.simulation.settlements import make_settlements
from xstars_lightning.datasets.simulation.woods import paint_single_trees, paint_woods

__all__ = ["COLORMAP", "LandCover", "Landscape", "make_landscape"]

_MARGIN = 60.0  # metres around the scene, so that nothing ends at its edge


def make_landscape(shape: tuple[int, int], resolution: float, rng: np.random.Generator) -> Landscape:
    """Lay out and paint a landscape.

    Args:
        shape: Rows and columns; at least some 200 m, for a village and its fields to fit in.
        resolution: Metres per sample.
        rng: Source of chance. Its state fixes the landscape on this grid.

    Returns:
        The landscape; ``Landscape.cover`` holds the land-cover classes.
    """
    height, width = shape[0] * resolution, shape[1] * resolution
    region = Region.draw(rng)
    network = make_network(width, height, rng)
    frame = box(-_MARGIN, -_MARGIN, width + _MARGIN, height + _MARGIN)
    parcels = make_parcels([*network.roads, network.river], frame, region.parcel, rng)
    homes = make_settlements(network, min(width, height), rng)
    land = paint_fields(shape, resolution, parcels, region, rng)
    bank = network.river.buffer(network.width / 2 + rng.uniform(4, 12))
    paint_woods(land, parcels, region, bank, rng)
    paint_water(land, network)
    paint_gardens(land, homes, rng)
    paint_roads(land, network, parcels, homes)
    around = homes.centre[rng.integers(len(homes.centre), size=3 * len(homes.centre))]
    avenues = [road for road in network.roads if rng.random() < 0.3]
    paint_single_trees(land, around + rng.normal(0, 14, around.shape), avenues, rng)
    paint_buildings(land, homes, rng)
    return land
