"""Datasets of TorchGeo, whatever their layout, as numbered images that can be divided."""

import importlib
import inspect
from collections.abc import Mapping, Sequence
from copy import copy
from pathlib import Path
from typing import Any

import torchgeo.datasets
from torch.utils.data import Dataset
from torchgeo.samplers import GriddedPatchSampler

from xstars_lightning.datasets.labelled_files import image_names, own_files

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


class Images(Dataset[Sample]):
    """Some images of a dataset that numbers them, in the order of their names.

    Args:
        dataset: Of TorchGeo.
        chosen: Names of the images to take.

    Attributes:
        names: Names of the images.
        image: For every sample, the position of its image among ``names``.
    """

    def __init__(self, dataset: Any, chosen: Sequence[str]) -> None:
        names, wanted = image_names(dataset), set(chosen)
        self.dataset = dataset
        self._numbers = sorted((n for n, name in enumerate(names) if name in wanted), key=names.__getitem__)
        self.names = [names[number] for number in self._numbers]
        self.image = list(range(len(self.names)))

    def keep(self, positions: Sequence[int]) -> "Images":
        """Those images alone that stand at these positions among ``names``."""
        return Images(self.dataset, [self.names[position] for position in positions])

    def files(self, masks: bool = False) -> list[list[Path]] | None:
        """As :func:`own_files`, of these images."""
        files = own_files(self.dataset, masks)
        return None if files is None else [files[number] for number in self._numbers]

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
        dataset: Of TorchGeo. All scenes are read on its one grid, unless it has a method ``scene``, as
            :class:`~xstars_lightning.datasets.l8biome.L8BiomeScenes`, that opens one on its own.
        chosen: Names of the scenes to take.
        size: Side of a window in pixels.

    Attributes:
        names: Names of the scenes.
        image: For every window, the position of its scene among ``names``.
    """

    def __init__(self, dataset: Any, chosen: Sequence[str], size: int) -> None:
        names, wanted = image_names(dataset), set(chosen)
        self.dataset, self.size = dataset, size
        self._rows = [row for row, name in enumerate(names) if name in wanted]
        self.names = [names[row] for row in self._rows]
        self.image: list[int] = []
        self._queries: list[tuple[Any, Any]] = []
        files = own_files(dataset) if hasattr(dataset, "scene") else None
        for row in self._rows:
            scene, source = _alone(dataset, row, files)
            time = scene.index.index[0]
            for x, y in GriddedPatchSampler(scene, size=size, stride=size):
                self._queries.append((source, (x, y, slice(time.left, time.right))))
                self.image.append(self.names.index(names[row]))

    def keep(self, positions: Sequence[int]) -> "Windows":
        """Those scenes alone that stand at these positions among ``names``."""
        return Windows(self.dataset, [self.names[position] for position in positions], self.size)

    def files(self, masks: bool = False) -> list[list[Path]] | None:
        """As :func:`own_files`, of these scenes."""
        files = own_files(self.dataset, masks)
        return None if files is None else [files[row] for row in self._rows]

    def __len__(self) -> int:
        """Number of windows."""
        return len(self._queries)

    def __getitem__(self, index: int) -> Sample:
        """The sample as the dataset has it."""
        source, query = self._queries[index]
        sample: Sample = source[query]
        return sample


def _alone(dataset: Any, row: int, files: Sequence[Sequence[Path]] | None) -> tuple[Any, Any]:
    """A dataset in whose index a scene stands alone, and that from which it is read."""
    if files is not None:
        scene = dataset.scene(files[row][0])
        return scene, scene
    scene = copy(dataset)
    scene.index = dataset.index.iloc[[row]]
    return scene, dataset
