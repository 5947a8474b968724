"""RGB images in a folder per class."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor
from torchgeo.datasets import NonGeoDataset

from xstars_lightning.datasets.image_lists import EXTENSIONS, find_in_folders, list_names, read_lists
from xstars_lightning.evaluation.splits import split_hash, stratified_split

__all__ = ["ClassFolders"]

_SPLITS = ("train", "val", "test")


class ClassFolders(NonGeoDataset):
    """RGB images in a folder per class; values are those of the files, 0 to 255.

    Unless lists are given, the images are divided 60/20/20 by a seeded stratified draw, and every
    split is in a shuffled order that is always the same.

    Args:
        root: Folder that holds a folder of images per class.
        split: ``train``, ``val`` or ``test``.
        lists: CSV file of ``path,class`` rows without a header for each of the three splits,
            instead of the draw; paths are relative to ``root``, and so may be those of the lists.
        seed: Of the draw.
        transforms: Called with each sample.
        folders: Folders below ``root`` that hold the class folders, if there are several; their images
            are one pool, and lists leave these folders out.
        any_ending: Lists may name images with another ending than their files have.

    Raises:
        FileNotFoundError: If the root, a list, or an image in a list is missing.
        ValueError: If the split is unknown, the lists are not one for each split or contradict
            the images or each other, or a class has fewer than three images.

    Attributes:
        classes: Names of the classes, sorted; labels are positions in them.
        names: Image names ``<class>/<file>``, below their folder if there are several.
        targets: Labels (N,).
        split_hash: SHA-256 of the sorted names, to tell splits apart.
    """

    all_bands = ("red", "green", "blue")
    rgb_bands = ("red", "green", "blue")
    #: Of the files that are images, in lower case.
    endings: ClassVar[Sequence[str]] = EXTENSIONS

    def __init__(
        self,
        root: str | Path = "data",
        split: Literal["train", "val", "test"] = "train",
        lists: Mapping[str, str] | None = None,
        seed: int = 0,
        transforms: Callable[[dict[str, Tensor]], dict[str, Tensor]] | None = None,
        folders: Sequence[str] = (".",),
        any_ending: bool = False,
    ) -> None:
        if split not in _SPLITS:
            raise ValueError(f"Unknown split {split!r}; there are {', '.join(_SPLITS)}.")
        self.root = Path(root)
        self.transforms = transforms
        found = find_in_folders(self.root, folders, self.endings)
        self.classes = sorted(set(found.values()))
        if lists is None:
            chosen = _draw(found, self.classes, split, seed)
        else:
            paths = {name: _below(self.root, path) for name, path in lists.items()}
            chosen = _listed(found, list_names(found, folders, any_ending), paths, split)
        self.names = tuple(chosen)
        self.targets = torch.tensor([self.classes.index(label) for label in chosen.values()])
        self.split_hash = split_hash(self.names)

    def __len__(self) -> int:
        """Number of images."""
        return len(self.names)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """Read an image.

        Args:
            index: In [0, len).

        Returns:
            ``image`` float32 (C, H, W) and ``label``, a scalar of type long.

        Raises:
            ValueError: If the file is truncated or no image; it is named.
        """
        sample = {"image": self.read(self.root / self.names[index]), "label": self.targets[index]}
        return sample if self.transforms is None else self.transforms(sample)

    def read(self, path: Path) -> Tensor:
        """Values of a file (C, H, W), float32; ValueError if it is damaged."""
        # TorchVision decodes twice as fast, but says since 0.29 that it will not do so for long.
        try:
            with Image.open(path) as file:
                pixels = np.array(file.convert("RGB"))
        except (OSError, SyntaxError) as error:  # what Pillow raises on damaged files
            raise ValueError(f"{path} cannot be read as an image; replace or remove it. {error}") from error
        return torch.from_numpy(pixels).permute(2, 0, 1).float()

    def plot(
        self, sample: dict[str, Tensor], show_titles: bool = True, suptitle: str | None = None
    ) -> Figure:
        """Show a sample, with its class and, where it has one, its ``prediction`` as title."""
        figure = Figure(figsize=(4, 4), layout="constrained")
        axes = figure.subplots()
        axes.imshow((sample["image"] / 255).permute(1, 2, 0).clamp(0, 1).cpu().numpy())
        axes.axis("off")
        if show_titles:
            keys = [key for key in ("label", "prediction") if key in sample]
            axes.set_title("\n".join(f"{key}: {self.classes[int(sample[key])]}" for key in keys))
        if suptitle is not None:
            figure.suptitle(suptitle)
        return figure


def _below(root: Path, path: str) -> str:
    """A path below the root if there is a file, else as it is."""
    return str(root / path) if (root / path).is_file() else path


def _draw(found: Mapping[str, str], classes: list[str], split: str, seed: int) -> dict[str, str]:
    names = list(found)
    labels = torch.tensor([classes.index(found[name]) for name in names])
    indices = stratified_split(labels, seed=seed, class_names=classes)[_SPLITS.index(split)]
    return {names[index]: found[names[index]] for index in indices.tolist()}


def _listed(
    found: Mapping[str, str], named: Mapping[str, str], lists: Mapping[str, str], split: str
) -> dict[str, str]:
    if set(lists) != set(_SPLITS):
        raise ValueError(f"lists must name a file for each of {', '.join(_SPLITS)}; got {sorted(lists)}.")
    chosen = read_lists(lists, found, named)[split]
    if not chosen:
        raise ValueError(f"{lists[split]} lists no image for {split!r}; it is empty.")
    return chosen
