"""Leaving samples out of a dataset, by name."""

from collections.abc import Sequence
from typing import Any

import torch
from torch.utils.data import Dataset

__all__ = ["KeptSamples", "find_broken"]


class KeptSamples(Dataset[Any]):
    """Some samples of a dataset; what else is asked of it is asked of the dataset.

    Args:
        dataset: The dataset.
        kept: Positions of the samples.
        names: Names of the samples that are kept, in their order.
        files: Their files, if they are known.
    """

    def __init__(
        self, dataset: Any, kept: Sequence[int], names: Sequence[str], files: Sequence[Any] | None = None
    ) -> None:
        self.dataset = dataset
        self.kept = list(kept)
        self.names = list(names)
        self.files = files

    def __len__(self) -> int:
        """Number of samples that are kept."""
        return len(self.kept)

    def __getitem__(self, index: int) -> Any:
        """Read a sample."""
        return self.dataset[self.kept[index]]

    @property
    def targets(self) -> Any:
        """Labels of the samples that are kept; None if the dataset does not tell them."""
        targets = self.dataset.targets
        return None if targets is None else torch.as_tensor(targets)[self.kept]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "dataset":  # while it is unpickled in a worker
            raise AttributeError(name)
        return getattr(self.dataset, name)


def find_broken(dataset: Any) -> dict[int, str]:
    """Read every sample once; what cannot be read, by position, with the reason."""
    broken = {}
    for index in range(len(dataset)):
        try:
            dataset[index]
        except (OSError, ValueError, RuntimeError, SyntaxError) as error:  # what decoders raise
            broken[index] = str(error)
    return broken
