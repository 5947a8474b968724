"""Parcels: land between roads and river, cut again and again across its length."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import LineString, Polygon
from shapely.affinity import rotate, scale
from shapely.geometry.base import BaseGeometry
from shapely.ops import polygonize, split

__all__ = ["Parcels", "make_parcels"]

_TRACK = 9e4  # square metres: cuts of larger pieces carry a farm track
_CRUMB = 60.0  # square metres: smaller pieces are dropped, and grow grass
_LARGE = 6e5  # square metres: cuts of larger pieces turn freely
Points = NDArray[np.float64]


@dataclass(frozen=True)
class Parcels:
    """Pieces of land.

    Args:
        shapes: P polygons that fill the scene.
        angle: Direction of their rows in radians, (P,).
        centre: Centroids in metres, (P, 2).
        tracks: Farm tracks between them.
    """

    shapes: Sequence[Polygon]
    angle: Points
    centre: Points
    tracks: Sequence[BaseGeometry]


def _axes(polygon: Polygon) -> tuple[Points, float, float]:
    """Unit vector of the long side of the smallest rectangle around a polygon, and both lengths."""
    corners = shapely.get_coordinates(polygon.minimum_rotated_rectangle)
    sides = corners[1:3] - corners[:2]
    lengths = np.linalg.norm(sides, axis=1)
    long = int(lengths.argmax())
    return sides[long] / max(lengths[long], 1e-9), float(lengths[long]), float(lengths[1 - long])


def _cut(polygon: Polygon, rng: np.random.Generator) -> LineString:
    """A line across a polygon, mostly across its length; long lines are bowed."""
    axis, length, breadth = _axes(polygon)
    if length / max(breadth, 1e-9) < rng.uniform(1.0, 2.6):
        axis, length, breadth = np.array([-axis[1], axis[0]]), breadth, length
    turn = rng.normal(0, 0.25 if polygon.area > _LARGE else 0.07)
    across = np.array([-axis[1] + turn * axis[0], axis[0] + turn * axis[1]])
    middle = np.asarray(polygon.minimum_rotated_rectangle.centroid.coords[0])
    middle = middle + axis * length * rng.uniform(-0.16, 0.16)
    t = np.linspace(-0.8, 0.8, 17)[:, None]
    bow = rng.normal(0, 0.05) if polygon.area > _TRACK else 0.0
    return LineString(middle + breadth * (t * across + bow * np.cos(2 * t) * axis))


def _split(
    regions: list[Polygon], scene: Polygon, size: float, rng: np.random.Generator
) -> tuple[list[Polygon], list[BaseGeometry]]:
    """Cut until every piece within the scene is about ``size`` square metres."""
    done: list[Polygon] = []
    tracks: list[BaseGeometry] = []
    while regions:
        piece = regions.pop()
        if not piece.intersects(scene):
            continue
        if piece.area < size * rng.lognormal(0, 0.55):
            done.append(piece)
            continue
        line = _cut(piece, rng)
        parts = [
            part for part in split(piece, line).geoms if isinstance(part, Polygon) and part.area > _CRUMB
        ]
        if len(parts) < 2:
            done.append(piece)
            continue
        regions += parts
        if piece.area > _TRACK and rng.random() < 0.55:
            tracks.append(line.intersection(piece))
    return done, tracks


def make_parcels(
    lines: Sequence[LineString], scene: Polygon, size: float, rng: np.random.Generator
) -> Parcels:
    """Cut the ground into parcels.

    Args:
        lines: Roads and river, that no parcel crosses.
        scene: The ground that matters.
        size: Typical area of a parcel in square metres.
        rng: Source of chance.
    """
    # Turned, or the outer parcels would lie along the edges of the picture.
    frame = rotate(scale(scene.envelope, 1.45, 1.45), rng.uniform(0, 90))
    regions = list(
        polygonize(shapely.union_all([*(line.intersection(frame) for line in lines), frame.boundary]))
    )
    shapes, tracks = _split([region for region in regions if region.area > _CRUMB], scene, size, rng)
    directions = np.array([_axes(shape)[0] for shape in shapes])
    centre = np.array([shape.centroid.coords[0] for shape in shapes])
    return Parcels(shapes, np.arctan2(directions[:, 1], directions[:, 0]), centre, tracks)
