"""The places that all or some of several indexes have in common."""

from collections.abc import Iterable, Mapping

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from geopandas import GeoDataFrame, GeoSeries
from numpy.typing import NDArray
from shapely import Polygon, STRtree
from shapely.geometry.base import BaseGeometry

__all__ = ["intersect", "seen_by"]

Geometries = NDArray[np.object_]


def intersect(indexes: Mapping[str, GeoDataFrame]) -> GeoDataFrame:
    """Intersect TorchGeo indexes one after the other.

    Args:
        indexes: Two or more indexes in one CRS, by name; times are intervals.

    Returns:
        An index with a row per combination of files that share ground; its interval spans the
        times of all of them.

    Raises:
        ValueError: If nothing is left; the message gives bounding boxes.
    """
    (first, frame), *others = indexes.items()
    geometries: Geometries = frame.geometry.to_numpy()
    left, right = frame.index.left, frame.index.right
    done = [first]
    for name, other in others:
        mine, theirs, shared = _pairs(geometries, other.geometry.to_numpy())
        if not len(shared):
            here = GeoSeries(geometries, crs=frame.crs)
            raise ValueError(_apart(" and ".join(done), here, name, other.geometry))
        geometries = shared
        left = np.minimum(left[mine], other.index.left[theirs])
        right = np.maximum(right[mine], other.index.right[theirs])
        done.append(name)
    index = pd.IntervalIndex.from_arrays(left, right, closed="both", name="datetime")
    return gpd.GeoDataFrame(index=index, geometry=geometries, crs=frame.crs)


def seen_by(count: int, indexes: Mapping[str, GeoDataFrame]) -> GeoDataFrame:
    """The ground that at least some of several TorchGeo indexes cover.

    Args:
        count: Fewest indexes that must cover a place.
        indexes: Two or more indexes in one CRS, by name; times are intervals.

    Returns:
        An index with a row per connected piece of that ground; its interval spans the times of all
        files that show some of it.

    Raises:
        ValueError: If nothing is left; the message gives bounding boxes.
    """
    frames = list(indexes.values())
    outlines: list[Geometries] = [frame.geometry.to_numpy() for frame in frames]
    ground = _covered([shapely.union_all(outline) for outline in outlines], count)
    if not ground.area > 0:
        raise ValueError(_seen_by_fewer(count, indexes))
    # Not a row per file: to cut thousands of files along such an outline would take a minute.
    pieces = shapely.get_parts(ground)
    piece, file = STRtree(np.concatenate(outlines)).query(pieces, predicate="intersects")
    ends = {side: [getattr(frame.index, side) for frame in frames] for side in ("left", "right")}
    times = pd.DataFrame({side: np.concatenate(parts)[file] for side, parts in ends.items()}).groupby(piece)
    index = pd.IntervalIndex.from_arrays(
        times["left"].min(), times["right"].max(), closed="both", name="datetime"
    )
    return gpd.GeoDataFrame(index=index, geometry=pieces, crs=frames[0].crs)


def _covered(areas: Iterable[BaseGeometry], count: int) -> BaseGeometry:
    """Ground within at least ``count`` of the areas."""
    levels: list[BaseGeometry] = [Polygon()] * count  # levels[n]: within more than n of those so far
    for area in areas:
        again = [area, *(shapely.buffer(shapely.intersection(level, area), 0) for level in levels[:-1])]
        levels = [shapely.union(level, more) for level, more in zip(levels, again, strict=True)]
    return levels[-1]


def _pairs(a: Geometries, b: Geometries) -> tuple[NDArray[np.intp], NDArray[np.intp], Geometries]:
    """Rows of ``a`` and of ``b`` that share ground, and the ground."""
    mine, theirs = STRtree(b).query(a, predicate="intersects")
    shared = shapely.intersection(a[mine], b[theirs])
    keep = shapely.area(shared) > 0
    # Outlines that share an edge as well as ground give lines beside polygons.
    shared = shapely.buffer(shared[keep], 0)
    return mine[keep], theirs[keep], shared


def _apart(names: str, here: GeoSeries, other: str, there: GeoSeries) -> str:
    return (
        f"Sensors {names} and {other} share no ground:\n"
        f"  {names}: {_place(here)}\n  {other}: {_place(there)}\n"
        "Check that the folders belong together and that the files' CRSs are right."
    )


def _seen_by_fewer(count: int, indexes: Mapping[str, GeoDataFrame]) -> str:
    places = "\n".join(f"  {name}: {_place(index.geometry)}" for name, index in indexes.items())
    return (
        f"No place is seen by {count} of the sensors {', '.join(indexes)} (min_sensors):\n{places}\n"
        "Check that the folders belong together and that the files' CRSs are right, or lower min_sensors."
    )


def _place(geometries: GeoSeries) -> str:
    """Bounding box in the joint CRS and in degrees."""
    xmin, ymin, xmax, ymax = geometries.total_bounds
    west, south, east, north = geometries.to_crs("EPSG:4326").total_bounds
    return (
        f"x {xmin:.2f} to {xmax:.2f}, y {ymin:.2f} to {ymax:.2f} in {geometries.crs.name!r} "
        f"(longitude {west:.4f} to {east:.4f}, latitude {south:.4f} to {north:.4f})"
    )
