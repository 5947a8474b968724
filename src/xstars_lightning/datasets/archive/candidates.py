"""Which scenes may share ground, by their boxes in degrees."""

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import STRtree

__all__ = ["Boxes"]

Float = NDArray[np.float64]
Int = NDArray[np.int64]


class Boxes:
    """Boxes in degrees, to ask which of them others touch.

    There is no tree of all of them, but one of what lies around those asked for: of a million, it would
    take half a gigabyte.

    Args:
        bounds: West, south, east, north (N, 4); west > east across the antimeridian.
    """

    def __init__(self, bounds: Float) -> None:
        self._bounds = bounds
        self._order = np.argsort(bounds[:, 1])
        self._south = bounds[self._order, 1]
        self._tallest = float((bounds[:, 3] - bounds[:, 1]).max(initial=0))

    def touching(self, bounds: Float) -> tuple[Int, Int]:
        """Pairs of boxes (M, 4) asked for and of these boxes; both positions in ascending order."""
        near = self._around(bounds)
        own_rows, own = _diagonals(bounds)
        rows, diagonals = _diagonals(self._bounds[near])
        first, second = STRtree(diagonals).query(own)
        # Two boxes across the antimeridian meet on both sides of it.
        pairs = np.unique(own_rows[first] * len(self._bounds) + near[rows[second]])
        one, other = np.divmod(pairs, max(len(self._bounds), 1))
        return one, other

    def _around(self, bounds: Float) -> Int:
        """Those that touch the box around some boxes."""
        wide = _widened(bounds)
        low, high = wide[:, :2].min(axis=0, initial=np.inf), wide[:, 2:].max(axis=0, initial=-np.inf)
        begin, end = np.searchsorted(self._south, [low[1] - self._tallest, np.nextafter(high[1], np.inf)])
        rows = self._order[begin:end]
        theirs = _widened(self._bounds[rows])
        return rows[((theirs[:, :2] <= high) & (theirs[:, 2:] >= low)).all(axis=1)]


def _widened(bounds: Float) -> Float:
    """Boxes, those across the antimeridian all around the globe."""
    wide, over = bounds.copy(), bounds[:, 0] > bounds[:, 2]
    wide[over, 0], wide[over, 2] = -180, 180
    return wide


def _diagonals(bounds: Float) -> tuple[Int, NDArray[np.object_]]:
    """Row of each box, in two across the antimeridian, and its diagonal.

    The tree asks for boxes alone, and a line takes half the memory of a polygon.
    """
    over = np.flatnonzero(bounds[:, 0] > bounds[:, 2])
    first, second = bounds.copy(), bounds[over]
    first[over, 2], second[:, 0] = 180, -180
    rows = np.concatenate([np.arange(len(bounds)), over])
    diagonals = shapely.linestrings(np.concatenate([first, second]).reshape(-1, 2, 2))
    return rows, np.asarray(diagonals, dtype=object)
