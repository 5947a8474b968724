"""Windows whose remote files cannot be read: replaced, counted, and too many of them stop the run."""

import logging
from collections.abc import Iterator, Sequence
from typing import Any
from zlib import crc32

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from xstars_lightning.datasets.handles import RemoteReadError

__all__ = ["CountingLoader", "LostWindows", "ReplacingDataset"]

logger = logging.getLogger(__name__)
Sample = dict[str, Tensor]
TRIES = 8
LEAST = 1000  # windows; before, the share of these counts, lest two lost ones in the first batch end a run


class ReplacingDataset(Dataset[Sample]):
    """Reads another window where a remote file cannot be read, and marks it.

    Files on a disk are not forgiven: they are there, or the data are broken.

    Args:
        dataset: Gives samples by window.
        spares: Windows to take instead, chosen by the window that failed, so that the choice is the
            same in every run.
    """

    def __init__(self, dataset: Any, spares: Sequence[Any]) -> None:
        self.dataset, self.spares = dataset, spares

    def __getitem__(self, window: Any) -> Sample:
        """The sample of a window, or of another one, with ``replaced`` (scalar bool).

        Raises:
            RemoteReadError: If none of several others can be read either.
        """
        first, chosen = window, crc32(repr(window).encode())
        for number in range(TRIES):
            try:
                return self.dataset[window] | {"replaced": torch.tensor(number > 0)}
            except RemoteReadError as error:
                if number == TRIES - 1:
                    raise
                logger.warning("Window %s is replaced: %s", first, error)
                window = self.spares[(chosen + number) % len(self.spares)]
        raise AssertionError("unreachable")


class LostWindows:
    """Counts replaced windows.

    Args:
        share: Largest share of all windows, in [0, 1].

    Raises:
        ValueError: If the share is out of range.
    """

    def __init__(self, share: float) -> None:
        if not 0 <= share <= 1:
            raise ValueError(f"max_lost is a share in [0, 1], got {share}.")
        self.share = share
        self.windows = self.replaced = 0

    def count(self, batch: Sample) -> Sample:
        """Count a batch, in main memory: on a GPU this would wait for it.

        Returns:
            The batch without ``replaced``.

        Raises:
            OSError: If too many windows were replaced.
        """
        if "replaced" not in batch:
            return batch
        marks = batch["replaced"]
        self.windows += len(marks)
        lost = int(marks.sum())
        self.replaced += lost
        if lost and self.replaced > self.share * max(self.windows, LEAST):
            raise OSError(
                f"{self.replaced} of {self.windows} windows could not be read and were replaced, more than "
                f"max_lost {self.share:.2%} allows; the log names the files. Check the connection and the "
                "archive, or raise max_lost."
            )
        return {key: value for key, value in batch.items() if key != "replaced"}


class CountingLoader(DataLoader[Sample]):
    """A DataLoader that counts the replaced windows of the batches it yields.

    Args:
        *args: Of DataLoader.
        lost: The count.
        **kwargs: Of DataLoader.
    """

    def __init__(self, *args: Any, lost: LostWindows, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lost = lost

    def __iter__(self) -> Iterator[Sample]:  # type: ignore[override]
        """Yield batches without ``replaced``; say at the end how many windows were."""
        yield from map(self.lost.count, super().__iter__())
        if self.lost.replaced:
            logger.warning("%d of %d windows so far were replaced.", self.lost.replaced, self.lost.windows)
