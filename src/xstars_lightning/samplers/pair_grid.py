"""Windows of pairs side by side, for validation and inference."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

from xstars_lightning.datasets.archive.pairs import Pairs, PairWindow
from xstars_lightning.samplers.cells import Cells, Part
from xstars_lightning.samplers.pair_ground import PairGround, to_pair_windows

__all__ = ["PairGridSampler"]

Windows = NDArray[np.float64]
CHUNK = 4096  # pairs at once
SEED = 0  # which pairs, where there are more windows than asked for


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
        limit: Most windows; None: all. If there are more, those of pairs chosen at random, always the
            same.

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
        order = np.flatnonzero(self.ground.roomy())
        if limit is not None:
            order = np.random.default_rng(SEED).permutation(order)
        windows, found = [np.empty((0, 5))], 0
        for start in range(0, len(order), CHUNK):
            grid = _grid(pairs, order[start : start + CHUNK], size, stride or size)
            windows.append(grid[self.ground.accepts(grid)])
            found += len(windows[-1])
            if limit is not None and found >= limit:
                break
        if not found:
            raise self.ground.no_room()
        kept = np.concatenate(windows)[:limit]
        self.windows = kept[np.argsort(kept[:, 0], kind="stable")]

    def __len__(self) -> int:
        """Number of windows."""
        return len(self.windows)

    def __iter__(self) -> Iterator[PairWindow]:
        """Yield windows pair by pair, row by row from the north."""
        return to_pair_windows(self.windows)


def _grid(pairs: Pairs, chosen: NDArray[np.int64], size: float, stride: float) -> Windows:
    """All windows (N, 5) of the grids of some pairs, which end where no whole window fits."""
    xmin, ymin, xmax, ymax = pairs.bounds[chosen].T
    columns, rows = (
        np.maximum(np.floor((high - low - size) / stride + 1e-6), 0).astype(int) + 1
        for low, high in ((xmin, xmax), (ymin, ymax))
    )
    many = columns * rows
    number = np.repeat(np.arange(len(chosen)), many)
    place = np.arange(len(number)) - np.repeat(np.cumsum(many) - many, many)
    row, column = np.divmod(place, columns[number])
    left, top = xmin[number] + column * stride, ymax[number] - row * stride
    return np.column_stack([chosen[number], left, top - size, left + size, top])
