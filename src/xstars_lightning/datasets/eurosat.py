"""EuroSAT as RGB JPEGs in class folders."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor
from torchgeo.datasets import NonGeoDataset

from xstars_lightning.datasets.image_lists import find_images, read_lists
from xstars_lightning.evaluation.splits import split_hash, stratified_split

__all__ = ["EuroSATRGB"]

_SPLITS = ("train", "val", "test")


class EuroSATRGB(NonGeoDataset):
    """RGB images in a folder per class, as EuroSAT is distributed (27,000 images, 10 classes) [0].

    Unless lists are given, the images are divided 60/20/20 by a seeded stratified draw, and every
    split is in a shuffled order that is always the same. Any other folder of class folders of
    images of one size will do.

    Args:
        root: Folder that holds a folder of images per class.
        split: ``train``, ``val`` or ``test``.
        lists: CSV file of ``path,class`` rows without a header for each of the three splits,
            instead of the draw; paths are relative to ``root``.
        seed: Of the draw.
        transforms: Called with each sample.

    Raises:
        FileNotFoundError: If the root, a list, or an image in a list is missing.
        ValueError: If the split is unknown, the lists are not one for each split or contradict
            the images or each other, or a class has fewer than three images.

    Attributes:
        classes: Names of the classes, sorted; labels are positions in them.
        names: Image names ``<class>/<file>``.
        targets: Labels (N,).
        split_hash: SHA-256 of the sorted names, to tell splits apart.

    References:
        [0] https://github.com/phelber/EuroSAT
    """

    all_bands = ("red", "green", "blue")
    rgb_bands = ("red", "green", "blue")

    def __init__(
        self,
        root: str | Path = "data/eurosat_rgb",
        split: Literal["train", "val", "test"] = "train",
        lists: Mapping[str, str] | None = None,
        seed: int = 0,
        transforms: Callable[[dict[str, Tensor]], dict[str, Tensor]] | None = None,
    ) -> None:
        if split not in _SPLITS:
            raise ValueError(f"Unknown split {split!r}; there are {', '.join(_SPLITS)}.")
        self.root = Path(root)
        self.transforms = transforms
        found = find_images(self.root)
        self.classes = sorted(set(found.values()))
        chosen = _draw(found, self.classes, split, seed) if lists is None else _listed(found, lists, split)
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
            ``image`` float32 (3, H, W) in [0, 1] and ``label``, a scalar of type long.

        Raises:
            ValueError: If the file is truncated or no image; it is named.
        """
        sample = {"image": _read(self.root / self.names[index]), "label": self.targets[index]}
        return sample if self.transforms is None else self.transforms(sample)

    def plot(
        self, sample: dict[str, Tensor], show_titles: bool = True, suptitle: str | None = None
    ) -> Figure:
        """Show a sample, with its class and, where it has one, its ``prediction`` as title."""
        figure = Figure(figsize=(4, 4), layout="constrained")
        axes = figure.subplots()
        axes.imshow(sample["image"].permute(1, 2, 0).clamp(0, 1).cpu().numpy())
        axes.axis("off")
        if show_titles:
            keys = [key for key in ("label", "prediction") if key in sample]
            axes.set_title("\n".join(f"{key}: {self.classes[int(sample[key])]}" for key in keys))
        if suptitle is not None:
            figure.suptitle(suptitle)
        return figure


def _draw(found: Mapping[str, str], classes: list[str], split: str, seed: int) -> dict[str, str]:
    names = list(found)
    labels = torch.tensor([classes.index(found[name]) for name in names])
    indices = stratified_split(labels, seed=seed, class_names=classes)[_SPLITS.index(split)]
    return {names[index]: found[names[index]] for index in indices.tolist()}


def _listed(found: Mapping[str, str], lists: Mapping[str, str], split: str) -> dict[str, str]:
    if set(lists) != set(_SPLITS):
        raise ValueError(f"lists must name a file for each of {', '.join(_SPLITS)}; got {sorted(lists)}.")
    chosen = read_lists(lists, found)[split]
    if not chosen:
        raise ValueError(f"{lists[split]} lists no image for {split!r}; it is empty.")
    return chosen


def _read(path: Path) -> Tensor:
    # TorchVision decodes twice as fast, but says since 0.29 that it will not do so for long.
    try:
        with Image.open(path) as file:
            pixels = np.array(file.convert("RGB"))
    except (OSError, SyntaxError) as error:  # what Pillow raises on damaged files
        raise ValueError(f"{path} cannot be read as an image; replace or remove it. {error}") from error
    return torch.from_numpy(pixels).permute(2, 0, 1).float() / 255
