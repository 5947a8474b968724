"""Ground that two sets of scenes share, such as those of pretraining and of an evaluation."""

from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import shapely
from geopandas import GeoDataFrame
from numpy.typing import NDArray
from pyproj import CRS
from shapely import STRtree

from xstars_lightning.datasets.archive.lonlat import LONLAT, moved

__all__ = ["Leakage", "find_leakage"]

EQUAL_AREA = CRS("EPSG:6933")
STEP = 0.1  # degrees; an edge of this length is off by less than 2 m in the equal-area CRS
SLIVER = 1e-4  # of the smaller scene; less is what rounding leaves along common edges

Geometries = NDArray[np.object_]
Int = NDArray[np.int64]


@dataclass(frozen=True)
class Leakage:
    """How much of a downstream dataset lies on the ground of pretraining.

    Args:
        pairs: ``downstream`` and ``pretraining`` (names of scenes), ``km2`` and ``geometry`` (the shared
            ground in longitude and latitude), a row per pair of scenes, in the order of the downstream
            scenes.
        overlapping: Downstream scenes that share ground with pretraining.
        scenes: Downstream scenes.
        shared_km2: Area of the downstream scenes that pretraining shows as well, each place of a scene
            counted once.
        km2: Area of the downstream scenes.
        pretraining_km2: Area of the scenes of pretraining; what two of them show counts twice.
    """

    pairs: GeoDataFrame
    overlapping: int
    scenes: int
    shared_km2: float
    km2: float
    pretraining_km2: float


def find_leakage(pretraining: GeoDataFrame, downstream: GeoDataFrame) -> Leakage:
    """Compare the ground of two sets of scenes, as :func:`read_outlines` gives them.

    Args:
        pretraining: Columns ``name`` and ``geometry``, in longitude and latitude.
        downstream: The same.
    """
    before, after = (_equal_area(frame.geometry.to_numpy()) for frame in (pretraining, downstream))
    scene, other = _candidates(downstream.geometry.to_numpy(), pretraining.geometry.to_numpy())
    shared = shapely.intersection(after[scene], before[other])
    areas = shapely.area(shared)
    keep = areas > SLIVER * np.minimum(shapely.area(after)[scene], shapely.area(before)[other])
    scene, other, areas = scene[keep], other[keep], areas[keep]
    # Outlines that share an edge as well as ground give lines beside polygons.
    shared = shapely.buffer(shared[keep], 0)
    pairs = gpd.GeoDataFrame(
        {
            "downstream": downstream["name"].to_numpy()[scene],
            "pretraining": pretraining["name"].to_numpy()[other],
            "km2": areas / 1e6,
        },
        geometry=moved(shared, EQUAL_AREA, LONLAT),
        crs=LONLAT,
    )
    shown = _once(scene, shared)
    sums = (shown.sum(), shapely.area(after).sum(), shapely.area(before).sum())
    return Leakage(pairs, len(shown), len(downstream), *(float(area) / 1e6 for area in sums))


def _equal_area(degrees: Geometries) -> Geometries:
    return moved(shapely.segmentize(degrees, STEP), LONLAT, EQUAL_AREA)


def _candidates(a: Geometries, b: Geometries) -> tuple[Int, Int]:
    """Rows of ``a`` and ``b`` whose boxes meet, sorted; parts on either side of the antimeridian apart."""
    (parts, owner), (others, holder) = (shapely.get_parts(x, return_index=True) for x in (a, b))
    mine, theirs = STRtree(others).query(parts)
    pairs = np.unique(np.stack([owner[mine], holder[theirs]]), axis=1)
    return pairs[0], pairs[1]


def _once(scene: Int, shared: Geometries) -> NDArray[np.float64]:
    """Area per scene that is shared with any other; ``scene`` is sorted."""
    starts = np.flatnonzero(np.diff(scene, prepend=-1))
    several = np.split(shared, starts[1:]) if len(starts) else []
    return np.array([shapely.union_all(pieces).area for pieces in several])
