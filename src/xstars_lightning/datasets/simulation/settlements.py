"""Villages: streets off the roads, houses along both, sheds and yards at the outskirts."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from shapely import LineString
from shapely.geometry.base import BaseGeometry
from shapely.ops import substring

from xstars_lightning.datasets.simulation.network import Network, Points

__all__ = ["Settlements", "make_settlements"]


@dataclass(frozen=True)
class Settlements:
    """Buildings as rotated rectangles with a ridge along their length.

    Args:
        centre: Centres in metres, (N, 2).
        angle: Direction of the ridge in radians, (N,).
        length: Along the ridge in metres, (N,).
        width: Across the ridge in metres, (N,).
        shed: True for farm buildings and halls, (N,).
        streets: Minor roads of the villages.
    """

    centre: Points
    angle: Points
    length: Points
    width: Points
    shed: NDArray[np.bool_]
    streets: Sequence[LineString]

    def where(self, keep: NDArray[np.bool_]) -> "Settlements":
        """Some of the buildings, all of the streets."""
        centre, angle, length = self.centre[keep], self.angle[keep], self.length[keep]
        return Settlements(centre, angle, length, self.width[keep], self.shed[keep], self.streets)

    def rectangles(self, grow: float = 0.0, low: float = -1.0, high: float = 1.0) -> NDArray[np.object_]:
        """Polygons (N,) from ``low`` to ``high`` across the ridge (-1 and 1: the eaves), grown in metres."""
        along = np.stack([np.cos(self.angle), np.sin(self.angle)], axis=1)[:, None]
        across = np.stack([-along[..., 1], along[..., 0]], axis=-1)
        u = (self.length / 2 + grow)[:, None, None] * np.array([-1, 1, 1, -1.0])[:, None]
        v = (self.width / 2 + grow)[:, None, None] * np.array([low, low, high, high])[:, None]
        return shapely.polygons(self.centre[:, None] + u * along + v * across)


def _along(line: LineString, spacing: float, rng: np.random.Generator) -> tuple[Points, Points]:
    """Places (N, 2) along a line, about ``spacing`` metres apart, and the unit tangents (N, 2) there."""
    stops = np.cumsum(rng.uniform(0.75, 1.35, max(1, int(line.length / spacing))) * spacing)
    stops = stops[stops < line.length - 1]
    here, ahead = (shapely.get_coordinates(shapely.line_interpolate_point(line, stops + d)) for d in (0, 1.0))
    step = ahead - here
    return here, step / np.maximum(np.linalg.norm(step, axis=1, keepdims=True), 1e-9)


def _street(place: Points, tangent: Points, rng: np.random.Generator) -> LineString:
    """A slightly bent street that leaves a road sideways."""
    side = rng.choice([-1, 1]) * np.array([-tangent[1], tangent[0]]) + tangent * rng.normal(0, 0.2)
    reach = np.linspace(0, rng.uniform(70, 240), 9)[:, None]
    return LineString(place + side * reach + tangent * rng.normal(0, 8e-4) * reach**2)


def _streets(
    roads: Sequence[LineString], network: Network, radius: Points, rng: np.random.Generator
) -> list[LineString]:
    """Streets within the villages that neither cross nor crowd each other."""
    streets: list[LineString] = []
    taken = [*network.roads, *roads]
    for road in roads:
        for place, tangent in zip(*_along(road, 55, rng), strict=True):
            near = (np.linalg.norm(network.villages - place, axis=1) / radius).min()
            if near > rng.uniform(0.3, 0.9):
                continue
            street = _street(place, tangent, rng)
            free = substring(street, 14, street.length)
            if not shapely.dwithin(free, [*taken, *streets], 13).any():
                streets.append(street)
    return streets


def _plots(
    lines: Sequence[LineString], spacing: float, setback: float, rng: np.random.Generator
) -> tuple[Points, Points]:
    """Building sites (N, 2) on both sides of lines, and the direction (N,) of the line there."""
    sites, angles = [], []
    for line in lines:
        for side in (-1, 1):
            place, tangent = _along(line, spacing, rng)
            normal = side * np.stack([-tangent[:, 1], tangent[:, 0]], axis=1)
            sites.append(place + normal * (setback + rng.gamma(2.0, 3.0, (len(place), 1))))
            angles.append(np.arctan2(tangent[:, 1], tangent[:, 0]))
    return np.concatenate(sites), np.concatenate(angles)


def _apart(centre: Points, size: Points) -> NDArray[np.bool_]:
    """True for buildings that no earlier one touches."""
    keep = np.ones(len(centre), dtype=bool)
    pairs = cKDTree(centre).query_pairs(60.0, output_type="ndarray")
    gap = np.linalg.norm(centre[pairs[:, 0]] - centre[pairs[:, 1]], axis=1)
    close = gap < 0.5 * (size[pairs[:, 0]] + size[pairs[:, 1]]) + 3
    keep[pairs[close].max(axis=1)] = False
    return keep


def _houses(
    network: Network, streets: list[LineString], radius: Points, rng: np.random.Generator
) -> Settlements:
    centre, angle = _plots([*network.roads, *streets], 17, 8.5, rng)
    near = (np.linalg.norm(centre[:, None] - network.villages, axis=2) / radius).min(axis=1)
    # Thick inside a village, a few scattered farms outside.
    built = rng.random(len(centre)) < np.maximum(0.95 * np.exp(-(near**4)), 0.012)
    centre, angle, near = centre[built], angle[built], near[built]
    shed = rng.random(len(centre)) < np.where(near > 0.75, 0.28, 0.015)
    turned = rng.random(len(centre)) < 0.3
    angle = angle + np.where(turned, np.pi / 2, 0) + rng.normal(0, 0.06, len(centre))
    length = np.where(shed, rng.uniform(26, 70, len(centre)), rng.uniform(9, 17, len(centre)))
    width = np.where(shed, rng.uniform(14, 28, len(centre)), rng.uniform(7, 10.5, len(centre)))
    return Settlements(centre, angle, length, width, shed, streets)


def make_settlements(network: Network, size: float, rng: np.random.Generator) -> Settlements:
    """Build the villages of a network; ``size`` is the shorter side of the scene in metres."""
    radius = rng.lognormal(5.55, 0.4, len(network.villages)).clip(140, 600).clip(max=0.3 * size)
    streets = _streets(network.roads, network, radius, rng)
    streets += _streets(streets, network, radius, rng)
    water: BaseGeometry = shapely.union_all([network.river.buffer(network.width / 2), *network.ponds]).buffer(
        12
    )
    streets = [street for street in streets if not street.intersects(water)]
    all_ = _houses(network, streets, radius, rng)
    roads = shapely.union_all([line.buffer(4.5) for line in (*network.roads, *streets)])
    blocked = shapely.union_all([water, roads])
    shapely.prepare(blocked)
    keep = ~shapely.intersects(blocked, all_.rectangles()) & _apart(all_.centre, all_.length)
    return all_.where(keep)
