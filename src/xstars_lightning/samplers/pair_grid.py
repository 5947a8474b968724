"""Windows of pairs side by side, for validation and inference."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

from xstars_lightning.datasets.archive.pairs import Pairs, PairWindow
from xstars_lightning.samplers.cells import Cells, Part
from xstars_lightning.samplers.pair_ground import PairGround, to_pair_windows
from xstars_lightning.samplers.shuffled import shuffled_numbers

__all__ = ["PairGridSampler"]

Windows = NDArray[np.float64]
Int = NDArray[np.int64]
CHUNK = 16_384  # windows at once; they take 10 MB while they are judged
SEED = 0  # which windows, where there are more than asked for


class PairGridSampler(Sampler[PairWindow]):
    """Square windows side by side in each pair, the same in every process and epoch.

    The grid of a pair begins at the upper-left corner of the box around its ground.

    Args:
        pairs: The pairs.
        size: Side of a window in metres.
        min_valid: Least share of a window that is ground of its pair, in (0, 1].
        cells: Split into training and validation; None: windows lie anywhere.
        part: Of the split.
        stride: Distance between windows in metres; ``size`` by default.
        limit: Most windows; None: all. If there are more, some of them chosen at random from all pairs,
            always the same.

    Raises:
        ValueError: If no window fits into any pair.
    """

    def __init__(
        self,
        pairs: Pairs,
        size: float,
        min_valid: float = 0.95,
        cells: Cells | None = None,
        part: Part = "val",
        stride: float | None = None,
        limit: int | None = None,
    ) -> None:
        self.ground = PairGround(pairs, size, min_valid, cells, part)
        grids = _Grids(pairs, np.flatnonzero(self.ground.roomy()), size, stride or size)
        numbers, windows, found = [np.empty(0, np.int64)], [np.empty((0, 5))], 0
        for some in _in_order(grids.total) if limit is None else shuffled_numbers(grids.total, CHUNK, SEED):
            candidates = grids.windows(some)
            accepted = self.ground.accepts(candidates)
            numbers.append(some[accepted])
            windows.append(candidates[accepted])
            found += len(windows[-1])
            if limit is not None and found >= limit:
                break
        if not found:
            raise self.ground.no_room()
        order = np.argsort(np.concatenate(numbers)[:limit])
        self.windows = np.concatenate(windows)[order]

    def __len__(self) -> int:
        """Number of windows."""
        return len(self.windows)

    def __iter__(self) -> Iterator[PairWindow]:
        """Yield windows pair by pair, row by row from the north."""
        return to_pair_windows(self.windows)


class _Grids:
    """The windows of the grids of some pairs by number, none of which is held.

    Args:
        pairs: The pairs.
        chosen: Those that have a grid (N,), which ends where no whole window fits.
        size: Side of a window in metres.
        stride: Distance between windows in metres.
    """

    def __init__(self, pairs: Pairs, chosen: Int, size: float, stride: float) -> None:
        self._pairs, self._chosen, self._size, self._stride = pairs, chosen, size, stride
        xmin, ymin, xmax, ymax = pairs.bounds[chosen].T
        self._columns, rows = (
            np.maximum(np.floor((high - low - size) / stride + 1e-6), 0).astype(np.int64) + 1
            for low, high in ((xmin, xmax), (ymin, ymax))
        )
        self._ends = np.cumsum(self._columns * rows)
        self.total = int(self._ends[-1]) if len(chosen) else 0

    def windows(self, numbers: Int) -> Windows:
        """Windows (n, 5) by their numbers (n,), which count pair by pair and row by row from the north."""
        grid = np.searchsorted(self._ends, numbers, side="right")
        begin = np.concatenate([[0], self._ends[:-1]])[grid]
        row, column = np.divmod(numbers - begin, self._columns[grid])
        xmin, _, _, ymax = self._pairs.bounds[self._chosen[grid]].T
        left, top = xmin + column * self._stride, ymax - row * self._stride
        return np.column_stack([self._chosen[grid], left, top - self._size, left + self._size, top])


def _in_order(total: int) -> Iterator[Int]:
    for start in range(0, total, CHUNK):
        yield np.arange(start, min(start + CHUNK, total))
