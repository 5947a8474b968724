"""Villages, the roads between them, the river and the ponds."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import pi

import numpy as np
from numpy.typing import NDArray
from shapely import LineString, Polygon, box

__all__ = ["Network", "make_network"]

Points = NDArray[np.float64]


@dataclass(frozen=True)
class Network:
    """Lines and places in metres, x to the right and y downwards from the corner of the scene.

    Args:
        villages: Centres (V, 2).
        roads: Centre lines, from edge to edge through the villages.
        river: Centre line.
        width: Width of the river in metres.
        ponds: Standing water.
    """

    villages: Points
    roads: Sequence[LineString]
    river: LineString
    width: float
    ponds: Sequence[Polygon]


def _bend(start: Points, end: Points, sway: float, rng: np.random.Generator) -> LineString:
    """A gently winding line; ``sway`` is the deviation as a share of the length."""
    length = float(np.hypot(*(end - start)))
    t = np.linspace(0, 1, max(8, int(length / 15)))
    waves = np.arange(1, 4)
    swing = rng.normal(0, sway * length, 3) / waves**1.5
    offset = (swing[:, None] * np.sin(pi * waves[:, None] * t)).sum(axis=0)
    normal = np.array([start[1] - end[1], end[0] - start[0]]) / max(length, 1e-9)
    return LineString(start + t[:, None] * (end - start) + offset[:, None] * normal)


def _spread(count: int, width: float, height: float, rng: np.random.Generator) -> Points:
    """Places far from each other and from the edge: the best of several candidates, one by one."""
    size = np.array([width, height])
    places = size * rng.uniform(0.25, 0.75, (1, 2))
    for _ in range(count - 1):
        candidates = size * rng.uniform(0.12, 0.88, (12, 2))
        distance = np.linalg.norm(candidates[:, None] - places[None], axis=2).min(axis=1)
        places = np.vstack([places, candidates[distance.argmax()]])
    return places


def _exits(width: float, height: float, rng: np.random.Generator) -> Points:
    """One place far beyond each side of the scene, where the roads lead."""
    along = rng.uniform(0.1, 0.9, 4)
    x = np.array([-0.6, 1.6, along[0], along[1]]) * width
    y = np.array([along[2], along[3], -0.6, 1.6]) * height
    return np.stack([x, y], axis=1)


def _roads(villages: Points, exits: Points, rng: np.random.Generator) -> list[LineString]:
    roads = []
    for i, village in enumerate(villages[1:], start=1):
        order = np.linalg.norm(villages[:i] - village, axis=1).argsort()
        roads += [_bend(villages[j], village, 0.05, rng) for j in order[: 2 if i > 1 else 1]]
    for exit_ in exits:
        nearest = np.linalg.norm(villages - exit_, axis=1).argmin()
        roads.append(_bend(villages[nearest], exit_, 0.035, rng))
    return roads


def _river(width: float, height: float, rng: np.random.Generator) -> LineString:
    """Meanders: the direction swings to and fro along the way, by an amount that itself wanders."""
    reach = 1.6 * max(width, height)
    step = 5.0
    s = np.arange(0, 2.2 * reach, step)
    period = rng.uniform(350, 800)
    swing = rng.uniform(0.7, 1.15) * (0.75 + 0.35 * np.sin(2 * pi * s / (3.1 * period) + rng.uniform(0, 6)))
    heading = rng.uniform(0, 2 * pi)
    drift = 0.35 * np.sin(2 * pi * s / (5.3 * period) + rng.uniform(0, 6))
    angle = heading + drift + swing * np.sin(2 * pi * s / period + 0.6 * np.sin(2 * pi * s / (2.3 * period)))
    path = np.cumsum(np.stack([np.cos(angle), np.sin(angle)], axis=1) * step, axis=0)
    through = np.array([width, height]) * rng.uniform(0.3, 0.7, 2)
    return LineString(path - path[len(path) // 2] + through)


def _pond(centre: Points, radius: float, rng: np.random.Generator) -> Polygon:
    angle = np.linspace(0, 2 * pi, 48, endpoint=False)
    waves = np.arange(1, 6)[:, None]
    lobes = rng.normal(0, 0.22, (5, 1)) / waves * np.sin(waves * angle + rng.uniform(0, 6, (5, 1)))
    outline = radius * np.clip(1 + lobes.sum(axis=0), 0.4, 2)
    stretch = np.array([rng.uniform(0.7, 1.4), 1.0])
    return Polygon(centre + outline[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1) * stretch)


def make_network(width: float, height: float, rng: np.random.Generator) -> Network:
    """Lay out villages, roads and water in a scene of ``width`` by ``height`` metres."""
    area = width * height / 1e6
    villages = _spread(1 + rng.poisson(0.22 * area), width, height, rng)
    roads = _roads(villages, _exits(width, height, rng), rng)
    radii = rng.lognormal(3.2, 0.6, 1 + rng.poisson(0.35 * area)).clip(12, 220).clip(max=width / 8)
    ponds = [_pond(np.array([width, height]) * rng.uniform(0.05, 0.95, 2), r, rng) for r in radii]
    frame = box(-0.6 * width, -0.6 * height, 1.6 * width, 1.6 * height)
    river = _river(width, height, rng).intersection(frame)
    river = max(getattr(river, "geoms", [river]), key=lambda part: part.length)
    return Network(villages, roads, river, float(rng.choice([7.0, 12.0, 22.0, 38.0])), ponds)
