"""Datasets of TorchGeo, whatever their layout, as numbered images that can be divided."""

import importlib
import inspect
import os
from collections.abc import Mapping, Sequence
from copy import copy
from pathlib import Path
from typing import Any

import torchgeo.datasets
from torch.utils.data import Dataset
from torchgeo.datasets import GeoDataset
from torchgeo.samplers import GriddedPatchSampler

__all__ = ["Images", "Windows", "image_names", "open_dataset"]

Sample = dict[str, Any]


def open_dataset(dataset_class: str, root: str, options: Mapping[str, Any]) -> Any:
    """Open a dataset by the name of its class.

    Args:
        dataset_class: A class of ``torchgeo.datasets``, or the full path of another one.
        root: Folder of the data: its ``root``, or its ``paths``.
        options: Its other arguments.

    Raises:
        DatasetNotFoundError: If the data are not there.
        ValueError: If there is no such class, or it lacks an argument.
    """
    module, _, name = dataset_class.rpartition(".")
    found = getattr(importlib.import_module(module) if module else torchgeo.datasets, name, None)
    if found is None:
        raise ValueError(
            f"No dataset {dataset_class!r}: give a class of torchgeo.datasets, such as LoveDA, or the full "
            "path of another one, such as my_package.my_module.MyDataset."
        )
    known = inspect.signature(found).parameters
    if unknown := [option for option in options if option not in known]:
        raise ValueError(f"{name} has no argument {', '.join(unknown)}; it has {', '.join(known)}.")
    return found(**{"root" if "root" in known else "paths": root}, **options)


def image_names(dataset: Any) -> list[str]:
    """Names of the images: those of their files below the root, else their numbers.

    Args:
        dataset: Of TorchGeo; of a GeoDataset the images are the rows of its index, its scenes.
    """
    if hasattr(dataset, "names"):
        return list(dataset.names)
    if isinstance(dataset, GeoDataset):
        index = dataset.index.reset_index()
        column = next((name for name in index.columns if name.startswith("filepath")), None)
        when = index["datetime"].map(lambda period: f"{period.left:%Y%m%d}").tolist()
        paths = index[column].tolist() if column else [""] * len(index)
        return [
            f"{Path(path).name}:{date}:{row}"
            for row, (path, date) in enumerate(zip(paths, when, strict=True))
        ]
    entries = getattr(dataset, "files", None) or range(len(dataset))
    files = (
        entry.get("mask", number) if isinstance(entry, Mapping) else entry
        for number, entry in enumerate(entries)
    )
    root = getattr(dataset, "root", ".")
    return [os.path.relpath(file, root) if isinstance(file, str | Path) else str(file) for file in files]


class Images(Dataset[Sample]):
    """Some images of a dataset that numbers them, in the order of their names.

    Args:
        dataset: Of TorchGeo.
        chosen: Names of the images to take.
    """

    def __init__(self, dataset: Any, chosen: Sequence[str]) -> None:
        names, wanted = image_names(dataset), set(chosen)
        self.dataset = dataset
        self._numbers = sorted((n for n, name in enumerate(names) if name in wanted), key=names.__getitem__)
        self.names = [names[number] for number in self._numbers]
        self.image = list(range(len(self.names)))

    def __len__(self) -> int:
        """Number of samples."""
        return len(self._numbers)

    def __getitem__(self, index: int) -> Sample:
        """The sample as the dataset has it."""
        sample: Sample = self.dataset[self._numbers[index]]
        return sample


class Windows(Dataset[Sample]):
    """Some scenes of a GeoDataset, in windows side by side.

    Args:
        dataset: Of TorchGeo.
        chosen: Names of the scenes to take.
        size: Side of a window in pixels.

    Attributes:
        names: Names of the scenes.
        image: For every window, the position of its scene among ``names``.
    """

    def __init__(self, dataset: Any, chosen: Sequence[str], size: int) -> None:
        names, wanted = image_names(dataset), set(chosen)
        self.dataset = dataset
        self.names = [name for name in names if name in wanted]
        self.image: list[int] = []
        self._queries = []
        for row in (number for number, name in enumerate(names) if name in wanted):
            scene = copy(dataset)
            scene.index = dataset.index.iloc[[row]]
            time = scene.index.index[0]
            for x, y in GriddedPatchSampler(scene, size=size, stride=size):
                self._queries.append((x, y, slice(time.left, time.right)))
                self.image.append(self.names.index(names[row]))

    def __len__(self) -> int:
        """Number of windows."""
        return len(self._queries)

    def __getitem__(self, index: int) -> Sample:
        """The sample as the dataset has it."""
        sample: Sample = self.dataset[self._queries[index]]
        return sample
