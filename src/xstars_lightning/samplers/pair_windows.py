"""Windows of pairs at random, for training, at a million pairs."""

import logging
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from xstars_lightning.datasets.archive.pairs import Pairs, PairWindow
from xstars_lightning.samplers.cells import Cells, Part
from xstars_lightning.samplers.pair_ground import PairGround, to_pair_windows
from xstars_lightning.samplers.places import Places
from xstars_lightning.samplers.strata import Strata
from xstars_lightning.samplers.stream import PROPOSALS, WindowStream

__all__ = ["PairWindowSampler"]

logger = logging.getLogger(__name__)
Windows = NDArray[np.float64]


class PairWindowSampler(WindowStream[PairWindow]):
    """Square windows within pairs, near enough uniform over their ground, in the CRS of each pair.

    A pair is drawn by the area of the box around its ground, and the window's place uniformly where it
    stays in that box; if too little of it is valid, both are drawn anew. Ground that several pairs show is
    drawn that many times as often. Pairs too small for a window are left out, and their number is logged.

    Args:
        pairs: The pairs.
        size: Side of a window in metres.
        length: Windows per epoch, over all processes; each takes the same number, without the rest.
        min_valid: Least share of a window that is ground of its pair, in (0, 1].
        cells: Split into training and validation; None: windows lie anywhere.
        part: Of the split.
        strata: Draw each of these classes equally often; None: as often as they occur.
        seed: Of the stream.
        rank: Of this process; from ``torch.distributed`` by default.
        world_size: Number of processes; from ``torch.distributed`` by default.

    Raises:
        ValueError: If no window fits into any pair, or on a class of the strata.
    """

    def __init__(
        self,
        pairs: Pairs,
        size: float,
        length: int,
        min_valid: float = 0.95,
        cells: Cells | None = None,
        part: Part = "train",
        strata: Strata | None = None,
        seed: int = 0,
        rank: int | None = None,
        world_size: int | None = None,
    ) -> None:
        super().__init__(length, seed, rank, world_size)
        self.ground = PairGround(pairs, size, min_valid, cells, part)
        roomy = self.ground.roomy()
        if not roomy.any():
            raise self.no_room()
        small = ~roomy & ~self.ground.emptied()
        if small.any() and self.rank == 0:
            logger.warning(
                "%d of %d pairs are too small for windows of %g m and left out.",
                *(small.sum(), len(pairs), size),
            )
        sides = pairs.bounds[:, 2:] - pairs.bounds[:, :2]
        self._shares = np.cumsum(sides.prod(axis=1) * roomy)
        self.draw(0, 1)
        if strata is not None:
            self._places = Places(pairs.crs, strata.crs)
            self.balance_over(strata)

    def propose(self, rng: np.random.Generator) -> Windows:
        """Windows (n, 5) with the pair's number in front."""
        places = rng.random((3, PROPOSALS))
        pair = np.searchsorted(self._shares, places[0] * self._shares[-1], side="right")
        low, high = np.split(self.ground.pairs.bounds[pair], 2, axis=1)
        # Where the box is smaller than the window, which min_valid allows, the window holds the box.
        corner = low + places[1:].T * (high - low - self.ground.size)
        windows = np.column_stack([pair, corner, corner + self.ground.size])
        return windows[self.ground.accepts(windows)]

    def classes(self, windows: Windows, strata: Strata) -> NDArray[np.int64]:
        """Class (n,) at the centre of each window."""
        x, y = (windows[:, 1:3] + windows[:, 3:]).T / 2
        return strata.at(*self._places(self.ground.pairs.crs_of[windows[:, 0].astype(int)], x, y))

    def to_windows(self, windows: Windows) -> Iterator[PairWindow]:
        """Windows as :class:`ArchiveDataset` takes them."""
        return to_pair_windows(windows)

    def no_room(self) -> ValueError:
        """The error for pairs in which no window fits."""
        return self.ground.no_room()
