"""Where windows of pairs may lie: how much of each is ground of its pair, and in which part of a split."""

from collections.abc import Iterator

import numpy as np
import shapely
from numpy.typing import NDArray

from xstars_lightning.datasets.archive.pairs import Pairs, PairWindow
from xstars_lightning.samplers.cells import Cells, Part
from xstars_lightning.samplers.places import Places

__all__ = ["PairGround", "to_pair_windows"]

Windows = NDArray[np.float64]


class PairGround:
    """Says which windows of a size may be taken from pairs; decodes no outline but those asked for.

    Args:
        pairs: The pairs.
        size: Side of the windows in metres.
        min_valid: Least share of a window that is ground of its pair, in (0, 1].
        cells: Split into training and validation; None: windows lie anywhere.
        part: Of the split.

    Raises:
        ValueError: If ``size`` or ``min_valid`` is out of range, or windows are too large for the cells.
    """

    def __init__(self, pairs: Pairs, size: float, min_valid: float, cells: Cells | None, part: Part) -> None:
        if size <= 0 or not 0 < min_valid <= 1:
            raise ValueError(f"size must be positive and min_valid in (0, 1], got {size} and {min_valid}.")
        if cells is not None:
            cells.check_size(size)
        self.pairs, self.size, self.min_valid, self.cells, self.part = pairs, size, min_valid, cells, part
        sides = pairs.bounds[:, 2:] - pairs.bounds[:, :2]
        self._is_box = pairs.area >= sides.prod(axis=1) * (1 - 1e-9)
        self._to_degrees = Places(pairs.crs)

    def roomy(self) -> NDArray[np.bool_]:
        """Which pairs (P,) may hold a window, by the box around their ground and its area."""
        sides = np.minimum(self.pairs.bounds[:, 2:] - self.pairs.bounds[:, :2], self.size)
        return np.minimum(sides.prod(axis=1), self.pairs.area) >= self._least

    @property
    def _least(self) -> float:
        """Least valid area of a window; outlines that were warped are off by fractions of a millimetre."""
        return self.min_valid * self.size**2 * (1 - 1e-6)

    def accepts(self, windows: Windows) -> NDArray[np.bool_]:
        """Which windows (N, 5), with the number of the pair in front, are valid enough and in the part."""
        pair, boxes = windows[:, 0].astype(int), windows[:, 1:]
        accepted = self._shared(pair, boxes) >= self._least
        if self.cells is not None:
            # x and y of the four corners: 0 and 2 are sides in x, 1 and 3 in y.
            x, y = boxes[accepted][:, [0, 2, 2, 0]], boxes[accepted][:, [1, 1, 3, 3]]
            degrees = self._to_degrees(self.pairs.crs_of[pair[accepted]], x, y)
            accepted[accepted] = self.cells.within(self.part, *degrees)
        return accepted

    def _shared(self, pair: NDArray[np.int64], boxes: Windows) -> NDArray[np.float64]:
        """Area (N,) of windows that is ground of their pair; 0 where the centre is not."""
        around = self.pairs.bounds[pair]
        low, high = np.maximum(boxes[:, :2], around[:, :2]), np.minimum(boxes[:, 2:], around[:, 2:])
        area = np.maximum(high - low, 0).prod(axis=1)
        askew = np.flatnonzero(~self._is_box[pair] & (area >= self._least))
        outlines = self.pairs.outlines(pair[askew])
        # First the centres alone: of windows around a rotated scene, half are told by them.
        inside = shapely.contains_xy(outlines, *(boxes[askew, :2] + boxes[askew, 2:]).T / 2)
        area[askew[~inside]] = 0
        askew, outlines = askew[inside], outlines[inside]
        area[askew] = shapely.area(shapely.intersection(outlines, shapely.box(*boxes[askew].T)))
        return area

    def no_room(self) -> ValueError:
        """The error for pairs in which no window fits; it says how large they are."""
        where = "" if self.cells is None else f" in the {self.part} cells"
        largest = int(self.pairs.area.argmax())
        xmin, ymin, xmax, ymax = self.pairs.bounds[largest].tolist()
        return ValueError(
            f"No window of {self.size:g} x {self.size:g} m with {self.min_valid:.0%} of its pair's ground "
            f"fits{where}. The largest of {len(self.pairs)} pairs has {self.pairs.area[largest] / 1e6:.6g} "
            f"km2 in a box of {xmax - xmin:.6g} x {ymax - ymin:.6g} m. Give a smaller window, a lower "
            "min_valid, larger blocks, another val_fraction, or more data."
        )


def to_pair_windows(windows: Windows) -> Iterator[PairWindow]:
    """Windows (N, 5), with the number of the pair in front, as the dataset takes them."""
    for pair, *box in windows.tolist():
        yield PairWindow(int(pair), *box)
