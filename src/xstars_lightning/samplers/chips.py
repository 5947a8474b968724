"""Chips in a random order, and which of them to hold out."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from xstars_lightning.samplers.strata import Strata
from xstars_lightning.samplers.stream import WindowStream

__all__ = ["ChipSampler", "split_groups"]

DRAWS = 2**31  # integers from which places follow; exact in float64


class ChipSampler(WindowStream[tuple[int, int]]):
    """Each chip once in a random order before any comes again, with an integer that decides on the crop.

    Args:
        chips: Numbers of the chips (N,).
        length: Chips per epoch, over all processes; each takes the same number, without the rest.
        seed: Of the stream.
        rank: Of this process; from ``torch.distributed`` by default.
        world_size: Number of processes; from ``torch.distributed`` by default.

    Raises:
        ValueError: If there is no chip, or fewer per epoch than processes.
    """

    def __init__(
        self,
        chips: NDArray[np.integer],
        length: int,
        seed: int = 0,
        rank: int | None = None,
        world_size: int | None = None,
    ) -> None:
        super().__init__(length, seed, rank, world_size)
        self.chips = chips
        if not len(chips):
            raise self.no_room()

    def propose(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """All chips (N, 2) once, each with the integer for its crop."""
        return np.column_stack([rng.permutation(self.chips), rng.integers(DRAWS, size=len(self.chips))]) * 1.0

    def to_windows(self, windows: NDArray[np.float64]) -> Iterator[tuple[int, int]]:
        """Number and integer of each chip."""
        return ((number, draw) for number, draw in windows.astype(np.int64).tolist())

    def classes(self, windows: NDArray[np.float64], strata: Strata) -> NDArray[np.int64]:
        """Chips lie nowhere that a map of classes could be asked for."""
        raise NotImplementedError("Chips without a georeference cannot be drawn by strata.")

    def no_room(self) -> ValueError:
        """The error for an empty set of chips."""
        return ValueError("No chip is left for training: lower val_fraction.")


def split_groups(groups: Sequence[str], fraction: float, seed: int = 0) -> NDArray[np.bool_]:
    """Hold whole groups out, until about a fraction of the chips is.

    Args:
        groups: Group of each chip.
        fraction: Share of the chips to hold out, in [0, 1).
        seed: Of the order in which groups are taken.

    Returns:
        Which chips (N,) are held out; at least one group if the fraction is positive, never all.

    Raises:
        ValueError: If the fraction is out of range, or there is but one group to divide.
    """
    if not 0 <= fraction < 1:
        raise ValueError(f"val_fraction must lie in [0, 1), got {fraction}.")
    labels, member = np.unique(np.asarray(groups, dtype=object).astype(str), return_inverse=True)
    if fraction == 0:
        return np.zeros(len(member), dtype=bool)
    if len(labels) < 2:
        raise ValueError(
            f"All {len(member)} chips belong to the group {str(labels[0])!r}, which cannot be both "
            "trained and validated on: give val_fraction 0, or data of other places too."
        )
    order = np.random.default_rng(seed).permutation(len(labels))
    taken = np.cumsum(np.bincount(member)[order])
    count = int(np.abs(taken[:-1] - fraction * len(member)).argmin()) + 1
    return np.isin(member, order[:count])
