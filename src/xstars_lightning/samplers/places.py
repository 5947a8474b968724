"""Points in many CRSs brought to one."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS, Transformer

from xstars_lightning.datasets.archive.lonlat import LONLAT

__all__ = ["Places"]

Float = NDArray[np.float64]


class Places:
    """Transforms points of many CRSs to one, grouped by CRS: a call costs as much as a hundred points.

    Args:
        sources: The CRSs in which points may lie.
        target: Where to.
    """

    def __init__(self, sources: Sequence[CRS], target: CRS = LONLAT) -> None:
        self._sources, self._target = sources, target
        self._known: dict[int, Transformer] = {}

    def __call__(self, crs_of: NDArray[np.int32], x: Float, y: Float) -> tuple[Float, Float]:
        """Transform points.

        Args:
            crs_of: Position of the CRS of each point (N,), or row of points, in ``sources``.
            x: First coordinates (N,) or (N, K), of which each row lies in one CRS.
            y: Second coordinates.

        Returns:
            Both coordinates in the target, of the same shape; infinite where they have no place in it.
        """
        moved = np.empty((2, *np.shape(x)))
        order = np.argsort(crs_of, kind="stable")
        cuts = np.flatnonzero(np.diff(crs_of[order])) + 1
        for rows in np.split(order, cuts):
            if len(rows):
                moved[:, rows] = self._transformer(int(crs_of[rows[0]])).transform(x[rows], y[rows])
        return moved[0], moved[1]

    def _transformer(self, source: int) -> Transformer:
        if source not in self._known:
            self._known[source] = Transformer.from_crs(self._sources[source], self._target, always_xy=True)
        return self._known[source]
