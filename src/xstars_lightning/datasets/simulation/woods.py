"""Trees: woods with ragged edges, hedges, the banks of the river, gardens and meadows."""

from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from shapely import LineString
from shapely.geometry.base import BaseGeometry

from xstars_lightning.datasets.simulation.canvas import Landscape, Use
from xstars_lightning.datasets.simulation.fields import Region
from xstars_lightning.datasets.simulation.grids import FloatArray, interpolator, resample
from xstars_lightning.datasets.simulation.materials import Material
from xstars_lightning.datasets.simulation.noise import band_noise
from xstars_lightning.datasets.simulation.painting import mask, paint
from xstars_lightning.datasets.simulation.parcels import Parcels

__all__ = ["paint_single_trees", "paint_woods"]

_EDGE = 17.0  # metres over which the edge of a wood wanders


def _smoothed(wooded: NDArray[np.bool_], resolution: float) -> FloatArray:
    """Share of wood in the neighbourhood of each sample, computed on a coarser grid."""
    step = max(1, round(5 / resolution))
    coarse = np.pad(wooded[::step, ::step].astype(np.float32), (0, 1), mode="edge")
    coarse = gaussian_filter(coarse, _EDGE / (step * resolution))
    rows, columns = (interpolator(c, f, step) for c, f in zip(coarse.shape, wooded.shape, strict=True))
    return resample(coarse, rows, columns)


def _grow(
    land: Landscape, trees: NDArray[np.bool_], conifer: NDArray[np.bool_], rng: np.random.Generator
) -> None:
    """Crowns on the given samples: round tops whose height the sun will model."""
    r = land.resolution
    crowns = band_noise(land.shape, r, (max(5.5, 2.5 * r), 15), rng, slope=0.0)
    stands = band_noise(land.shape, r, (40, 400), rng)
    size = np.where(conifer, np.float32(1.3), np.float32(1.9))
    np.copyto(land.height, 14 + size * crowns + 2 * stands, where=trees)
    np.copyto(land.texture, (1 + 0.1 * crowns + 0.04 * stands).clip(0.55, 1.5), where=trees)
    np.copyto(land.vigour, 0.4 * stands, where=trees)
    np.copyto(
        land.surface, np.where(conifer, Material.CONIFER, Material.BROADLEAF), where=trees, casting="unsafe"
    )


def paint_woods(
    land: Landscape, parcels: Parcels, region: Region, bank: BaseGeometry, rng: np.random.Generator
) -> None:
    """Plant the wooded parcels, hedges along others and the bank of the river; clearings become meadow."""
    wooded = land.use_at(Use.BROADLEAF, Use.CONIFER)
    conifer = land.use_at(Use.CONIFER)
    ragged = band_noise(land.shape, land.resolution, (8, 240), rng)
    wood = _smoothed(wooded, land.resolution) + 0.16 * ragged > 0.5
    hedges = [p.exterior.buffer(rng.uniform(2, 4)) for p in parcels.shapes if rng.random() < region.hedges]
    lines = mask([*hedges, bank], land.shape, land.resolution) & (ragged > rng.uniform(-1.4, -0.3))
    land.surface[wooded] = Material.GRASS
    _grow(land, wood | lines, conifer & wood, rng)
    land.height[lines & ~wood] *= 0.5


def _scattered(land: Landscape, rng: np.random.Generator) -> NDArray[np.float64]:
    """Places (N, 2) of lone trees in meadows."""
    size = np.array(land.shape[::-1])
    places = rng.uniform(0, 1, (int(90 * size.prod() * land.resolution**2 / 1e6), 2)) * size
    column, row = places.astype(int).T
    return places[land.use_at(Use.MEADOW)[row, column]] * land.resolution


def paint_single_trees(
    land: Landscape, gardens: NDArray[np.float64], avenues: Sequence[LineString], rng: np.random.Generator
) -> None:
    """Plant lone trees: in gardens (at the places (N, 2) given), in meadows, and in rows along avenues."""
    rows = [
        shapely.get_coordinates(
            shapely.line_interpolate_point(line.offset_curve(side), np.arange(0, line.length, 13.0))
        )
        for line in avenues
        for side in (-7.0, 7.0)
    ]
    places = np.concatenate([gardens, _scattered(land, rng), *rows])
    crowns = shapely.buffer(shapely.points(places), rng.uniform(2.0, 5.2, len(places)))
    where = mask(crowns, land.shape, land.resolution)
    where &= land.surface != Material.WATER
    tops = np.zeros(land.shape, dtype=np.float32)
    paint(tops, crowns, rng.uniform(4, 11, len(crowns)), land.resolution)
    np.copyto(land.surface, np.uint16(Material.BROADLEAF), where=where)
    np.copyto(land.height, tops, where=where)
