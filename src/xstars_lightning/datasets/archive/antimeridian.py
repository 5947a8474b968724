"""Outlines in degrees that cross the antimeridian or go around a pole.

Cutting and boxes follow RFC 7946 [0]: no part crosses the antimeridian, and the box of an outline that
does is given by its western edge and a smaller eastern one.

References:
    [0] https://www.rfc-editor.org/rfc/rfc7946, sections 3.1.9 and 5.2
"""

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.affinity import translate
from shapely.geometry.base import BaseGeometry

__all__ = ["area_within", "box_of_parts", "boxes", "joined"]

Float = NDArray[np.float64]
Geometries = NDArray[np.object_]


def joined(degrees: Geometries) -> Geometries:
    """Outlines in degrees, those across the antimeridian in one piece that reaches beyond 180."""
    wide = np.flatnonzero(np.diff(shapely.bounds(degrees)[:, [0, 2]])[:, 0] > 180)
    beyond = shapely.transform(degrees[wide], lambda xy: xy + (xy[:, :1] < 0) * (360, 0))
    bounds = shapely.bounds(beyond)
    width = bounds[:, 2] - bounds[:, 0]
    crossing = (width > 0) & (width < 180)
    result = degrees.copy()
    result[wide[crossing]] = shapely.buffer(beyond[crossing], 0)
    return result


def boxes(degrees: Geometries) -> Float:
    """West, south, east, north (N, 4) of joined outlines, longitudes in [-180, 180]."""
    west, south, east, north = shapely.bounds(degrees).T
    around = east - west >= 360
    turn = 360 * np.floor((west + 180) / 360)
    west, east = np.where(around, -180, west - turn), np.where(around, 180, east - turn)
    return np.stack([west, south, np.where(east > 180, east - 360, east), north], axis=1)


def area_within(ring: BaseGeometry, projected: bool) -> BaseGeometry:
    """What a ring encloses, in [-180, 180]; of the two sides of a ring around a pole, the pole's."""
    xy = shapely.get_coordinates(ring)
    if projected:
        xy = _past_poles(xy)
        xy[:, 0] = np.unwrap(xy[:, 0], period=360)
    if abs(xy[-1, 0] - xy[0, 0]) > 180:
        pole = np.copysign(90.0, xy[:, 1].mean())
        xy = np.concatenate([xy, [(xy[-1, 0], pole), (xy[0, 0], pole)]])
    area = shapely.make_valid(shapely.Polygon(xy))
    turns = (-360, 0, 360)
    within = [shapely.intersection(area, shapely.box(turn - 180, -91, turn + 180, 91)) for turn in turns]
    return shapely.union_all([translate(part, -turn) for part, turn in zip(within, turns, strict=True)])


def box_of_parts(degrees: BaseGeometry) -> Float:
    """West, south, east, north of parts in [-180, 180]: all but the widest gap between them."""
    parts = shapely.bounds(shapely.get_parts(degrees))
    parts = parts[np.argsort(parts[:, 0])]
    west, east = parts[:, 0], np.maximum.accumulate(parts[:, 2])
    gaps = np.append(west[1:], west[0] + 360) - east
    widest = int(gaps.argmax())
    south, north = parts[:, 1].min(), parts[:, 3].max()
    if gaps[widest] < 1e-9:
        return np.array([-180.0, south, 180.0, north])
    return np.array([west[(widest + 1) % len(west)], south, east[widest], north])


def _past_poles(xy: Float) -> Float:
    """Where a ring goes through a pole, which has no longitude, let it arrive by one and leave by another."""
    at_pole = np.abs(xy[:-1, 1]) > 90 - 1e-9
    if not at_pole.any() or at_pole.all():
        return xy
    first = int(np.argmin(at_pole))
    at_pole, open_ring = np.roll(at_pole, -first), np.roll(xy[:-1], -first, axis=0)
    before, after = np.roll(open_ring[:, 0], 1), np.roll(open_ring[:, 0], -1)
    arrive = np.where(at_pole, before, open_ring[:, 0])
    leave = np.where(at_pole, after, open_ring[:, 0])
    twice = np.stack([np.stack([arrive, open_ring[:, 1]], 1), np.stack([leave, open_ring[:, 1]], 1)], axis=1)
    keep = np.stack([np.ones_like(at_pole), at_pole], axis=1)
    ring = twice[keep]
    return np.concatenate([ring, ring[:1]])
