"""The sun: its place in the sky, shading and cast shadows."""

from dataclasses import dataclass
from math import ceil, cos, radians, sin, tan

import numpy as np

from xstars_lightning.datasets.simulation.canvas import Landscape
from xstars_lightning.datasets.simulation.grids import FloatArray
from xstars_lightning.datasets.simulation.materials import Material

__all__ = ["Sun", "illumination"]

_TALLEST = 22.0  # metres
_BLUR = np.float32(1.5)  # metres over which the edge of a shadow fades
_MODELLING = np.float32(0.22)  # how strongly the sun models the crowns of trees


@dataclass(frozen=True)
class Sun:
    """Where the sun stands.

    Args:
        azimuth: Degrees clockwise from north.
        elevation: Degrees above the horizon.
    """

    azimuth: float
    elevation: float

    @classmethod
    def on(cls, day: float, rng: np.random.Generator) -> "Sun":
        """At about half past ten, at 46 degrees north, on a day of the year."""
        season = cos(2 * np.pi * (day - 172) / 365)
        return cls(150 - 8 * season + rng.normal(0, 4), 41 + 19 * season + rng.normal(0, 2))

    @property
    def away(self) -> tuple[float, float]:
        """Unit step (rows, columns) in the direction in which shadows fall."""
        return cos(radians(self.azimuth)), -sin(radians(self.azimuth))


def _shadow(land: Landscape, sun: Sun) -> FloatArray:
    """1 in full shadow, 0 in the sun, (H, W)."""
    fall = tan(radians(max(sun.elevation, 20))) * land.resolution  # metres that the sun line sinks per step
    steps = ceil(min(float(land.height.max()), _TALLEST) / fall)
    height, width = land.shape
    padded = np.pad(land.height, steps, mode="edge")
    line = np.full(land.shape, -np.inf, dtype=np.float32)
    for step in range(1, steps + 1):
        top, left = (steps - round(step * part) for part in sun.away)
        np.maximum(line, padded[top : top + height, left : left + width] - np.float32(step * fall), out=line)
    return ((line - land.height) / _BLUR).clip(0, 1)


def _slope(field: FloatArray, sun: Sun, spacing: float) -> FloatArray:
    """Rise per metre towards the side on which shadows fall, (H, W): positive where the sun shines on."""
    rows, columns = sun.away
    slope = np.zeros_like(field)
    slope[1:-1] += (field[2:] - field[:-2]) * np.float32(rows / (2 * spacing))
    slope[:, 1:-1] += (field[:, 2:] - field[:, :-2]) * np.float32(columns / (2 * spacing))
    return slope


def illumination(land: Landscape, sun: Sun) -> tuple[FloatArray, FloatArray]:
    """Light on the ground.

    Returns:
        Direct light (H, W) as a factor around 1, and the depth of the shadow (H, W) in [0, 1].
    """
    hill = _slope(land.relief, sun, land.resolution) / np.float32(tan(radians(sun.elevation)))
    # Crowns only: the walls of a house would look like steep slopes.
    wooded = (land.surface == Material.BROADLEAF) | (land.surface == Material.CONIFER)
    crown = _slope(land.height, sun, land.resolution).clip(-1.6, 1.6) * wooded
    return np.float32(1) + hill.clip(-0.35, 0.35) + _MODELLING * crown, _shadow(land, sun)
