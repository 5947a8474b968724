"""Where windows may lie: how much of each is valid, and whether it stays in its region."""

from collections.abc import Iterator

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import STRtree
from shapely.geometry.base import BaseGeometry

from xstars_lightning.samplers.blocks import cut, polygons

__all__ = ["Boxes", "Ground", "Snap", "Window", "to_slices"]

Boxes = NDArray[np.float64]
Snap = tuple[float, float, float, float]
Window = tuple[slice, slice]


class Ground:
    """Valid ground, and the region that windows must lie within.

    Args:
        area: Valid ground, dissolved.
        size: Side of the windows, in units of the CRS.
        snap: Step in x and y, origin in x and y, of the grid for the windows' upper-left corners.
        region: Windows lie wholly within; None: anywhere.
        min_valid: Least share of valid ground in a window, in (0, 1].

    Raises:
        ValueError: If ``area`` is empty, or ``size`` or ``min_valid`` out of range.
    """

    def __init__(
        self,
        area: BaseGeometry,
        size: float,
        snap: Snap,
        region: BaseGeometry | None = None,
        min_valid: float = 0.95,
    ) -> None:
        if size <= 0 or not 0 < min_valid <= 1:
            raise ValueError(f"size must be positive and min_valid in (0, 1], got {size} and {min_valid}.")
        self.size, self.snap, self.region, self.min_valid = size, snap, region, min_valid
        self.area = area
        inside = area if region is None else shapely.intersection(area, region)
        if inside.is_empty:
            raise ValueError(
                f"{self} No valid ground at all lies in the region. Give more data or another split."
            )
        # Cut, because the share of each window is computed against all corners of a piece.
        self.pieces = cut(inside, 8 * size)
        self._tree = STRtree(self.pieces)
        if region is not None:
            shapely.prepare(region)

    def snapped(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> Boxes:
        """Windows (N, 4) as xmin, ymin, xmax, ymax, the upper-left corners x, y moved to the grid."""
        step_x, step_y, origin_x, origin_y = self.snap
        left = np.round((x - origin_x) / step_x) * step_x + origin_x
        top = np.round((y - origin_y) / step_y) * step_y + origin_y
        return np.stack([left, top - self.size, left + self.size, top], axis=1)

    def accepts(self, windows: Boxes) -> NDArray[np.bool_]:
        """Which windows (N, 4) are valid enough and within the region."""
        boxes = np.asarray(shapely.box(*windows.T))
        accepted = self.valid_share(boxes) >= self.min_valid - 1e-9
        if self.region is not None:
            accepted[accepted] = shapely.covers(self.region, boxes[accepted])
        return accepted

    def valid_share(self, boxes: NDArray[np.object_]) -> NDArray[np.float64]:
        """Share of each window (N,) that is valid ground of the region, in [0, 1]."""
        window, piece = self._tree.query(boxes, predicate="intersects")
        shared = shapely.area(shapely.intersection(boxes[window], self.pieces[piece]))
        return np.bincount(window, weights=shared, minlength=len(boxes)) / self.size**2

    def no_room(self) -> ValueError:
        """The error for ground on which no window fits; it says how large the ground is."""
        parts = polygons(self.area if self.region is None else shapely.intersection(self.area, self.region))
        largest = shapely.bounds(parts[shapely.area(parts).argmax()])
        width, height = largest[2] - largest[0], largest[3] - largest[1]
        return ValueError(
            f"{self} The largest part of the valid ground is {width:.6g} x {height:.6g}. Give a smaller "
            "window, a lower min_valid, larger blocks, or more data."
        )

    def __str__(self) -> str:
        where = "" if self.region is None else " within its region of the split"
        return (
            f"No window of {self.size:g} x {self.size:g} with {self.min_valid:.0%} valid ground fits{where}."
        )


def to_slices(windows: Boxes) -> Iterator[Window]:
    """Windows (N, 4) as TorchGeo's x and y slices."""
    for xmin, ymin, xmax, ymax in windows.tolist():
        yield slice(xmin, xmax), slice(ymin, ymax)
