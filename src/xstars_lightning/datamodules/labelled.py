"""Splits of a labelled dataset of TorchGeo: those that it has, and those held out of its training."""

from abc import abstractmethod
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset
from torchgeo.datamodules import NonGeoDataModule
from torchgeo.datasets import EuroSAT

from xstars_lightning.allocator import return_blocks
from xstars_lightning.datasets.sources import open_dataset

__all__ = ["LabelledDataModule"]

_SPLITS = ("train", "val", "test")


class LabelledDataModule(NonGeoDataModule):
    """Opens the splits of a dataset that is given by name.

    Args:
        dataset_class: A class of ``torchgeo.datasets``, or the full path of another one.
        root: Folder of the data.
        options: Arguments of the dataset, for all splits.
        splits: Further arguments by split; ``train`` must be among them.
        held_out: Shares of the training images for splits that are not in ``splits``.
        batch_size: Images in a batch.
        num_workers: Processes that read; 0 reads in the main one.
        seed: Of the draw of what is held out.

    Raises:
        ValueError: If the splits make no sense.
    """

    # What TorchGeo's tasks undo before they plot.
    mean = torch.tensor(0.0)
    std = torch.tensor(1.0)

    def __init__(
        self,
        dataset_class: str,
        root: str,
        options: dict[str, Any] | None,
        splits: dict[str, dict[str, Any]] | None,
        held_out: dict[str, float] | None,
        batch_size: int,
        num_workers: int,
        seed: int,
    ) -> None:
        super().__init__(EuroSAT, batch_size, num_workers)  # any class: `setup` opens others
        self.dataset_name, self.root, self.options = dataset_class, root, options or {}
        self.splits = {split: {"split": split} for split in _SPLITS} if splits is None else splits
        self.held_out, self.seed = held_out or {}, seed
        names = {*self.splits, *self.held_out}
        if "train" not in self.splits or names - {*_SPLITS} or {*self.splits} & {*self.held_out}:
            raise ValueError(
                f"Every one of {', '.join(_SPLITS)} stands in `splits` or in `held_out`, train in `splits`; "
                f"got {', '.join(self.splits)} and {', '.join(self.held_out) or 'none'}."
            )
        if min([1.0, *self.held_out.values()]) <= 0 or sum(self.held_out.values()) >= 1:
            raise ValueError(f"held_out must be positive shares with a sum below 1, got {self.held_out}.")

    def prepare_data(self) -> None:
        """Download the data, if ``options`` say so."""
        if self.options.get("download"):
            for split in self.splits:
                self._open(split)

    def setup(self, stage: str) -> None:
        """Open the datasets of a stage: ``fit``, ``validate`` or ``test``."""
        needed = {"fit": ("train", "val"), "validate": ("val",), "test": ("test",)}.get(stage, ())
        for split in needed:
            if split in self.splits or split in self.held_out:
                setattr(self, f"{split}_dataset", self._build(split))

    def _open(self, split: str) -> Any:
        return open_dataset(self.dataset_name, self.root, self.options | self.splits[split])

    @abstractmethod
    def _build(self, split: str) -> Dataset[Any]:
        """The dataset of a split."""

    def _dataloader_factory(self, split: str) -> DataLoader[Any]:
        """As TorchGeo does, but without dropping the last images, which may be all that there are."""
        dataset: Dataset[Any] = self._valid_attribute(f"{split}_dataset")
        return DataLoader(
            dataset,
            self.batch_size,
            shuffle=split == "train",
            num_workers=self.num_workers,
            collate_fn=self.collate_fn,
            persistent_workers=self.num_workers > 0,
            worker_init_fn=return_blocks,  # type: ignore[arg-type]  # nobody asks what it returns
        )
