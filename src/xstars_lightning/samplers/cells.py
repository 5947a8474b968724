"""A split of the world into training and validation cells, without a list of them."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["Cells", "Part"]

Float = NDArray[np.float64]
UInt = NDArray[np.uint64]
Part = Literal["train", "val"]
METRES_PER_DEGREE = 111_195.0  # of a sphere; the ellipsoid is 0.6 % shorter at most


@dataclass(frozen=True)
class Cells:
    """Cells of longitude and latitude, a share of which is held out.

    Rows of equal height; in each row equal columns, as many as leave a cell no narrower than ``block``
    at the end nearer to the pole, where a row is a single cell. Which cells are held out is a hash of seed,
    row and column, so that the split is the same whatever data there are. A window whose surroundings
    in longitude and latitude, grown by ``margin``, meet cells of both parts belongs to neither.

    Args:
        block: Least side of a cell in metres.
        val_fraction: Share of the cells for validation, in [0, 1].
        seed: Of the choice.
        margin: Distance in metres from the border that windows keep; two windows of different
            parts are twice as far apart.

    Raises:
        ValueError: If the fraction is out of range, or ``block`` not positive.
    """

    block: float
    val_fraction: float
    seed: int = 0
    margin: float = 0.0

    def __post_init__(self) -> None:
        if self.block <= 0 or not 0 <= self.val_fraction <= 1:
            raise ValueError(
                f"block must be positive and val_fraction in [0, 1], got {self.block} and "
                f"{self.val_fraction}."
            )

    def check_size(self, size: float) -> None:
        """Refuse windows so large that a cell could lie between their corners.

        Raises:
            ValueError: If ``size`` in metres with twice the margin exceeds half a block.
        """
        if size + 2 * self.margin > self.block / 2:
            raise ValueError(
                f"Windows of {size:g} m (margin {self.margin:g} m) are too large for blocks of "
                f"{self.block:g} m: give blocks of {2 * (size + 2 * self.margin):g} m or more."
            )

    def within(self, part: Part, lon: Float, lat: Float) -> NDArray[np.bool_]:
        """Which windows (N,) lie in one part.

        Args:
            part: ``train`` or ``val``.
            lon: Longitude of the four corners in degrees (N, 4).
            lat: Latitude (N, 4).
        """
        west, east, south, north = self._surroundings(lon, lat)
        # Next to a pole, windows span more longitudes than a cell does.
        meridians = np.linspace(west, east, 2 if np.max(east - west, initial=0) < 30 else 14)
        held = [self.held_out(x, y) for x in meridians for y in (south, north)]
        return np.all(held, axis=0) if part == "val" else ~np.any(held, axis=0)

    def held_out(self, lon: Float, lat: Float) -> NDArray[np.bool_]:
        """Whether points (N,) in degrees lie in validation cells."""
        row, column = self._cell(lon, lat)
        number = _mixed(_mixed(np.uint64(self.seed) ^ _mixed(row)) ^ column)
        return np.asarray(number < np.uint64(min(int(self.val_fraction * 2**64), 2**64 - 1)))

    def _surroundings(self, lon: Float, lat: Float) -> tuple[Float, Float, Float, Float]:
        """Box around four corners, grown by the margin: west, east, south and north (N,).

        Its sides follow those of cells, so that its corners meet all cells that it meets.
        """
        # From the first corner: across the antimeridian longitudes jump.
        away = (lon - lon[:, :1] + 180) % 360 - 180
        west, east = lon[:, 0] + away.min(axis=1), lon[:, 0] + away.max(axis=1)
        # Near a pole the middle of an edge lies nearer to it than the corners do.
        bulge = np.cos(np.radians(np.minimum((east - west) / 2, 90)))
        grow = self.margin / METRES_PER_DEGREE
        south, north = lat.min(axis=1) - grow, lat.max(axis=1) + grow
        south = np.where(south < 0, np.maximum(90 + south, 0) * bulge - 90, south)
        north = np.where(north > 0, 90 - np.maximum(90 - north, 0) * bulge, north)
        cosine = np.cos(np.radians(np.maximum(np.abs(south), np.abs(north))))
        wide = np.minimum(grow / np.maximum(cosine, 1e-9), 90)
        return west - wide, east + wide, south, north

    def _cell(self, lon: Float, lat: Float) -> tuple[UInt, UInt]:
        """Row and column of points."""
        rows = max(1, int(180 * METRES_PER_DEGREE / self.block))
        height = 180 / rows
        row = np.clip(np.floor((lat + 90) / height), 0, rows - 1)
        poleward = np.maximum(np.abs(row * height - 90), np.abs((row + 1) * height - 90))
        around = 360 * METRES_PER_DEGREE * np.cos(np.radians(np.minimum(poleward, 90)))
        columns = np.maximum(1, np.floor(around / self.block))
        column = np.minimum(np.floor((lon + 180) % 360 / 360 * columns), columns - 1)
        return row.astype(np.uint64), column.astype(np.uint64)


def _mixed(number: UInt | np.uint64) -> UInt:
    """Spread numbers over 64 bits (the finaliser of splitmix64 [0]).

    References:
        [0] Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014.
    """
    with np.errstate(over="ignore"):
        number = np.asarray(number, dtype=np.uint64) + np.uint64(0x9E3779B97F4A7C15)
        number = (number ^ (number >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        number = (number ^ (number >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return number ^ (number >> np.uint64(31))
