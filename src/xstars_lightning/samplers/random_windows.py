"""Windows at random, for training."""

from collections.abc import Iterator

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS
from shapely.geometry.base import BaseGeometry

from xstars_lightning.samplers.ground import Boxes, Ground, Snap, Window, to_slices
from xstars_lightning.samplers.places import Places
from xstars_lightning.samplers.strata import Strata
from xstars_lightning.samplers.stream import PROPOSALS, WindowStream

__all__ = ["RandomWindowSampler"]


class RandomWindowSampler(WindowStream[Window]):
    """Square windows, uniform over the valid ground of one CRS.

    Args:
        area: Valid ground, e.g. ``CrossSensorDataset.area``.
        size: Side of a window in units of the CRS.
        length: Windows per epoch, over all processes; each takes the same number, without the rest.
        snap: Grid of the windows' upper-left corners, e.g. ``CrossSensorDataset.snap``.
        region: Windows lie wholly within it; None: anywhere.
        min_valid: Least share of valid ground in a window, in (0, 1].
        seed: Of the stream.
        rank: Of this process; from ``torch.distributed`` by default.
        world_size: Number of processes; from ``torch.distributed`` by default.
        strata: Draw each of these classes equally often; None: as often as they occur.
        crs: Coordinate reference system of the windows; needed with ``strata``.

    Raises:
        ValueError: If no window fits on the ground, or on a class of the strata.
    """

    def __init__(
        self,
        area: BaseGeometry,
        size: float,
        length: int,
        snap: Snap,
        region: BaseGeometry | None = None,
        min_valid: float = 0.95,
        seed: int = 0,
        rank: int | None = None,
        world_size: int | None = None,
        strata: Strata | None = None,
        crs: CRS | None = None,
    ) -> None:
        super().__init__(length, seed, rank, world_size)
        self.ground = Ground(area, size, snap, region, min_valid)
        bounds = shapely.bounds(self.ground.pieces)
        self._corners, self._spans = bounds[:, :2], bounds[:, 2:] - bounds[:, :2]
        self._shares = np.cumsum(self._spans.prod(axis=1))
        self.draw(0, 1)
        if strata is not None:
            if crs is None:
                raise ValueError("strata lie in a CRS of their own: give the windows' one too (crs).")
            self._places = Places([crs], strata.crs)
            self.balance_over(strata)

    def propose(self, rng: np.random.Generator) -> Boxes:
        """Windows centred anywhere in the boxes around the pieces; those kept are uniform."""
        places = rng.random((3, PROPOSALS))
        piece = np.searchsorted(self._shares, places[0] * self._shares[-1], side="right")
        x, y = (self._corners[piece] + places[1:].T * self._spans[piece]).T
        half = self.ground.size / 2
        here = shapely.contains_xy(self.ground.pieces[piece], x, y)
        windows = self.ground.snapped(x[here] - half, y[here] + half)
        return windows[self.ground.accepts(windows)]

    def classes(self, windows: Boxes, strata: Strata) -> NDArray[np.int64]:
        """Class (n,) at the centre of each window."""
        x, y = (windows[:, :2] + windows[:, 2:]).T / 2
        return strata.at(*self._places(np.zeros(len(windows), dtype=np.int32), x, y))

    def to_windows(self, windows: Boxes) -> Iterator[Window]:
        """Windows as ``(slice(xmin, xmax), slice(ymin, ymax))``."""
        return to_slices(windows)

    def no_room(self) -> ValueError:
        """The error for ground on which no window fits."""
        return self.ground.no_room()
