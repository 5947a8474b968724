"""Outlines in any CRS -> longitude and latitude, cut at the antimeridian."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError
from shapely.geometry.base import BaseGeometry

from xstars_lightning.datasets.archive.antimeridian import area_within, box_of_parts
from xstars_lightning.datasets.raster_file import metres_per_unit

__all__ = ["LONLAT", "check_on_earth", "moved", "to_lonlat"]

Float = NDArray[np.float64]
Geometries = NDArray[np.object_]

LONLAT = CRS("OGC:CRS84")
EDGE = 25_000.0  # metres; drawn straight in degrees, an edge of this length is off by about 12 m
POLAR = 80.0  # degrees of latitude beyond which edges bend more


def to_lonlat(
    outlines: Geometries, crs_of: NDArray[np.integer], crs: Sequence[CRS]
) -> tuple[Geometries, Float]:
    """Outlines in degrees, and their boxes.

    Args:
        outlines: Polygons or multipolygons (N,), each in its own CRS.
        crs_of: Position in ``crs`` (N,).
        crs: Coordinate reference systems.

    Returns:
        The outlines (N,), x being longitude, in [-180, 180]; and west, south, east, north (N, 4): west
        > east across the antimeridian, -180 and 180 around a pole. Not finite where the CRS does not
        reach.
    """
    degrees, bounds = np.empty(len(outlines), dtype=object), np.empty((len(outlines), 4))
    for number in np.unique(crs_of):
        rows = np.flatnonzero(crs_of == number)
        degrees[rows], bounds[rows] = _of_one_crs(outlines[rows], crs[number])
    return degrees, bounds


def check_on_earth(crs: CRS) -> None:
    """Refuse a CRS that is not tied to the Earth, such as a local one.

    Raises:
        ValueError: If longitudes and latitudes cannot be had from it.
    """
    _transformer(crs, LONLAT)


def moved(geometries: Geometries, source: CRS, target: CRS) -> Geometries:
    """Geometries with their vertices in another CRS; edges are not densified, turns of longitude kept."""
    transform = _transformer(source, target).transform
    turns = source.is_geographic and target.is_geographic

    def move(xy: Float) -> Float:
        x, y = transform(xy[:, 0], xy[:, 1])
        with np.errstate(invalid="ignore"):  # where a CRS does not reach
            return np.stack([x + 360 * np.round((xy[:, 0] - x) / 360) if turns else x, y], axis=1)

    return np.asarray(shapely.transform(geometries, move), dtype=object)


@lru_cache(maxsize=512)  # more than there are zones; making one takes milliseconds
def _transformer(source: CRS, target: CRS) -> Transformer:
    try:
        return Transformer.from_crs(source, target, always_xy=True)
    except ProjError as error:
        raise ValueError(
            f"Nothing leads from the CRS {source.name!r} to {target.name!r}. Give the files one that is "
            "tied to the Earth, with `gdal_edit.py -a_srs EPSG:... FILE`."
        ) from error


def _of_one_crs(outlines: Geometries, crs: CRS) -> tuple[Geometries, Float]:
    dense = outlines
    if not crs.is_geographic:
        dense = shapely.segmentize(
            outlines, np.minimum(shapely.length(outlines) / 8, EDGE / metres_per_unit(crs))
        )
    degrees = moved(dense, crs, LONLAT)
    bounds = shapely.bounds(degrees)
    for row in np.flatnonzero(_odd(degrees, bounds, crs)):
        degrees[row] = _cut(outlines[row], crs)
        bounds[row] = box_of_parts(degrees[row])
    return degrees, bounds


def _odd(degrees: Geometries, bounds: Float, crs: CRS) -> NDArray[np.bool_]:
    """Which outlines (N,) may touch the antimeridian or a pole; few, so they may take their time."""
    odd = (bounds[:, 0] < -180) | (bounds[:, 2] > 180)
    if not crs.is_geographic:
        odd |= np.abs(bounds[:, [1, 3]]).max(axis=1) > POLAR
        xy, row = shapely.get_coordinates(degrees, return_index=True)
        with np.errstate(invalid="ignore"):  # where the CRS does not reach
            jumps = (np.abs(np.diff(xy[:, 0])) > 180) & (row[1:] == row[:-1])
        odd[row[1:][jumps]] = True
    # What is no place on Earth is left as it is, for whoever checks it.
    return odd & (np.abs(bounds) <= 720).all(axis=1)


def _cut(outline: BaseGeometry, crs: CRS) -> BaseGeometry:
    projected = not crs.is_geographic
    dense = shapely.segmentize(outline, outline.length / 400) if projected else outline
    pieces = []
    for polygon in shapely.get_parts(moved(np.array([dense], dtype=object), crs, LONLAT)):
        holes = [area_within(ring, projected) for ring in polygon.interiors]
        pieces.append(shapely.difference(area_within(polygon.exterior, projected), shapely.union_all(holes)))
    return shapely.union_all(pieces)
