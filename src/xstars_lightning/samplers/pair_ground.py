"""Where windows of pairs may lie: how much of each is ground of its pair, and in which part of a split."""

from collections.abc import Iterator

import numpy as np
import shapely
from numpy.typing import NDArray

from xstars_lightning.datasets.archive.pairs import Pairs, PairWindow
from xstars_lightning.samplers.cells import Cells, Part
from xstars_lightning.samplers.convex import lost_shares
from xstars_lightning.samplers.places import Places

__all__ = ["PairGround", "to_pair_windows"]

Windows = NDArray[np.float64]
TRIES = 20_000  # places at which a window is tried, to find out why none is left
CLOSE = 1e-5  # shares of a window that are nearer to each other are told apart by the exact geometries


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
        accepted = self._valid_enough(pair, boxes)
        if self.cells is not None:
            # x and y of the four corners: 0 and 2 are sides in x, 1 and 3 in y.
            x, y = boxes[accepted][:, [0, 2, 2, 0]], boxes[accepted][:, [1, 1, 3, 3]]
            degrees = self._to_degrees(self.pairs.crs_of[pair[accepted]], x, y)
            accepted[accepted] = self.cells.within(self.part, *degrees)
        return accepted

    def _valid_enough(self, pair: NDArray[np.int64], boxes: Windows) -> NDArray[np.bool_]:
        """Which windows (N,) hold enough ground of their pair, and have their centre on it."""
        around = self.pairs.bounds[pair]
        low, high = np.maximum(boxes[:, :2], around[:, :2]), np.minimum(boxes[:, 2:], around[:, 2:])
        enough = np.maximum(high - low, 0).prod(axis=1) >= self._least
        askew = np.flatnonzero(~self._is_box[pair] & enough)
        centres = ((boxes[askew, :2] + boxes[askew, 2:]) / 2).view(complex)[:, 0]
        lost = lost_shares(self.pairs.outline, pair[askew], centres, self.size)
        # Most windows meet one edge at most, which decides; the others are cut out, thirty times as slow.
        worst, best = (1 - share - self._least / self.size**2 for share in lost[::-1])
        enough[askew] = worst > CLOSE
        unsure = askew[(worst <= CLOSE) & (best >= -CLOSE)]
        enough[unsure] = self._shared(pair[unsure], boxes[unsure]) >= self._least
        return enough

    def _shared(self, pair: NDArray[np.int64], boxes: Windows) -> NDArray[np.float64]:
        """Area (N,) of windows that is ground of their pair; 0 where the centre is not."""
        outlines, area = self.pairs.outlines(pair), np.zeros(len(pair))
        # First the centres alone: of windows around a rotated scene, half are told by them.
        inside = shapely.contains_xy(outlines, *(boxes[:, :2] + boxes[:, 2:]).T / 2)
        windows = shapely.box(*boxes[inside].T)
        area[inside] = shapely.area(shapely.intersection(outlines[inside], windows))
        return area

    def emptied(self) -> NDArray[np.bool_]:
        """Which pairs (P,) have no ground, because all of theirs was taken out of them."""
        return self.pairs.area == 0

    def no_room(self) -> ValueError:
        """The error for pairs in which no window lies; it says why, and what to change."""
        windows = f"window of {self.size:g} x {self.size:g} m with {self.min_valid:.0%} of its pair's ground"
        count, emptied = len(self.pairs), int(self.emptied().sum())
        if emptied == count:
            return ValueError(
                f"None of {count} pairs has ground left: all of it is ground to avoid. Avoid less (avoid), "
                "or give more data."
            )
        x, y = self._centres_anywhere()
        if self.cells is None or not len(x):
            largest = int(self.pairs.area.argmax())
            xmin, ymin, xmax, ymax = self.pairs.bounds[largest].tolist()
            without = f" ({emptied} of them without ground, because all of it is avoided)" if emptied else ""
            return ValueError(
                f"No {windows} fits. The largest of {count} pairs{without} has "
                f"{self.pairs.area[largest] / 1e6:.6g} km2 in a box of {xmax - xmin:.6g} x {ymax - ymin:.6g} "
                "m. Give a smaller window, a lower min_valid, or more data."
            )
        cells, part = self.cells, self.part
        split = f"blocks of {cells.block:g} m, val_fraction {cells.val_fraction:g}, seed {cells.seed}"
        if (cells.held_out(x, y) == (part == "val")).any():
            return ValueError(
                f"No {windows} fits in the {part} cells ({split}), though some would across their borders. "
                "Give a smaller window, larger blocks, or another seed."
            )
        return ValueError(
            f"None of the {part} cells ({split}) meets the ground of {count} pairs. Give smaller blocks, "
            "another seed, another val_fraction, or more data."
        )

    def _centres_anywhere(self) -> tuple[Windows, Windows]:
        """Longitude and latitude (n,) of the centres of some windows that are valid enough, in any part."""
        rng, roomy = np.random.default_rng(0), np.flatnonzero(self.roomy())
        pair = rng.choice(roomy, TRIES) if len(roomy) else roomy
        low, high = np.split(self.pairs.bounds[pair], 2, axis=1)
        corner = low + rng.random((len(pair), 2)) * (high - low - self.size)
        enough = self._valid_enough(pair, np.column_stack([corner, corner + self.size]))
        x, y = corner[enough].T + self.size / 2
        return self._to_degrees(self.pairs.crs_of[pair[enough]], x, y)


def to_pair_windows(windows: Windows) -> Iterator[PairWindow]:
    """Windows (N, 5), with the number of the pair in front, as the dataset takes them."""
    for pair, *box in windows.tolist():
        yield PairWindow(int(pair), *box)
