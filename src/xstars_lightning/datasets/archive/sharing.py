"""Outlines of scenes brought to the CRSs of windows, and the ground that they share."""

from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Transformer

from xstars_lightning.datasets.archive.footprints import Footprints

__all__ = ["EMPTY", "Outlines", "common", "share"]

Geometries = NDArray[np.object_]
Float = NDArray[np.float64]
Int = NDArray[np.int64]
COLLECTION = 7  # shapely's type of a geometry collection
EMPTY = shapely.Polygon()


class Outlines:
    """Outlines of a sensor's scenes in any of several CRSs.

    Args:
        index: The scenes.
        crs: The CRSs that may be asked for.
    """

    def __init__(self, index: Footprints, crs: Sequence[CRS]) -> None:
        self._index, self._crs = index, crs
        # Lazily: of 120 zones times 120, hardly any two meet.
        self._ways: dict[tuple[int, int], Transformer | None] = {}

    def __call__(self, rows: Int, targets: NDArray[np.int32]) -> Geometries:
        """Outlines (N,) of scenes, each in the CRS at a position in ``crs``; empty where it has no place."""
        keys, back = np.unique(rows * len(self._crs) + targets, return_inverse=True)
        rows, wanted = np.divmod(keys, len(self._crs))
        outlines = self._index.outlines(rows)
        ways = np.stack([self._index.crs_of[rows], wanted], axis=1)
        for own, target in np.unique(ways, axis=0).tolist():
            if (way := self._way(own, target)) is not None:
                here = (ways == (own, target)).all(axis=1)
                kilometre = 0.01 if self._index.crs[own].is_geographic else 1000.0
                outlines[here] = _warped(outlines[here], way, kilometre)
        bad = ~shapely.is_valid(outlines)
        outlines[bad] = shapely.make_valid(outlines[bad])
        return outlines[back]

    def _way(self, own: int, target: int) -> Transformer | None:
        """From one of the scenes' CRSs to one of the windows'; None where they are the same."""
        if (own, target) not in self._ways:
            here, there = self._index.crs[own], self._crs[target]
            same = here == there
            self._ways[own, target] = None if same else Transformer.from_crs(here, there, always_xy=True)
        return self._ways[own, target]


def common(a: Float, b: Float) -> tuple[Float, Float]:
    """Lower and upper corners (N, 2) of the intersections of boxes (N, 4)."""
    return np.maximum(a[:, :2], b[:, :2]), np.minimum(a[:, 2:], b[:, 2:])


def share(a: Geometries, b: Geometries) -> Geometries:
    """Intersections (N,), without the lines and points that outlines with a common edge leave."""
    first, second = shapely.bounds(a), shapely.bounds(b)
    low, high = common(first, second)
    shared = np.full(len(a), EMPTY, dtype=object)
    meet = (low < high).all(axis=1)
    # Upright boxes, which most scenes in their own CRS are: thirty times as fast as any polygons.
    boxes = meet & _are_boxes(a, first) & _are_boxes(b, second)
    shared[boxes] = shapely.box(*low[boxes].T, *high[boxes].T)
    other = meet & ~boxes
    shared[other] = _polygonal(shapely.intersection(a[other], b[other]))
    return shared


def _are_boxes(geometries: Geometries, bounds: Float) -> NDArray[np.bool_]:
    full = (bounds[:, 2] - bounds[:, 0]) * (bounds[:, 3] - bounds[:, 1])
    return np.asarray(shapely.area(geometries) >= full * (1 - 1e-12))


def _polygonal(geometries: Geometries) -> Geometries:
    mixed = shapely.get_type_id(geometries) == COLLECTION
    geometries[mixed] = shapely.buffer(geometries[mixed], 0)
    return geometries


def _warped(outlines: Geometries, transformer: Transformer, kilometre: float) -> Geometries:
    """Outlines in another CRS; edges are densified first, because they bend, a kilometre by centimetres."""
    dense = shapely.segmentize(outlines, np.maximum(shapely.length(outlines) / 80, kilometre))
    corners, owner = shapely.get_coordinates(dense, return_index=True)
    moved = np.stack(transformer.transform(*corners.T), axis=1)
    nowhere = np.unique(owner[~np.isfinite(moved).all(axis=1)])
    moved[np.isin(owner, nowhere)] = 0
    warped = np.asarray(shapely.set_coordinates(dense, moved), dtype=object)
    warped[nowhere] = EMPTY
    return warped
