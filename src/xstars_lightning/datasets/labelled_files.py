"""Which images a labelled dataset of TorchGeo has, and in which files they and their masks are."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torchgeo.datasets import GeoDataset

__all__ = ["check_complete", "check_opened", "image_names", "own_files"]

_MASK = "mask"


def image_names(dataset: Any) -> list[str]:
    """Names of the images: those of their files below the root, else their numbers.

    Args:
        dataset: Of TorchGeo; of a GeoDataset the images are the rows of its index, its scenes.
    """
    if hasattr(dataset, "names"):
        return list(dataset.names)
    if isinstance(dataset, GeoDataset):
        when = dataset.index.index.left.strftime("%Y%m%d")
        names = (next(iter(_paths(entry, False)), Path()).name for entry in _scenes(dataset))
        return [f"{name}:{date}:{row}" for row, (name, date) in enumerate(zip(names, when, strict=True))]
    entries = getattr(dataset, "files", None) or range(len(dataset))
    files = (
        entry.get(_MASK, number) if isinstance(entry, Mapping) else entry
        for number, entry in enumerate(entries)
    )
    root = getattr(dataset, "root", ".")
    return [os.path.relpath(file, root) if isinstance(file, str | Path) else str(file) for file in files]


def own_files(dataset: Any, masks: bool = False) -> list[list[Path]] | None:
    """Files of the images, in the order of :func:`image_names`; None if the dataset does not tell them.

    Args:
        dataset: As for :func:`image_names`.
        masks: Those of the masks instead; none of an image whose mask is in its own file.
    """
    scenes = isinstance(dataset, GeoDataset)
    entries = _scenes(dataset) if scenes else getattr(dataset, "files", None) or ()
    files = [_paths(entry, masks) for entry in entries]
    known = len(files) == len(image_names(dataset)) > 0 and (masks or all(files))
    return files if known else None


def check_opened(dataset: GeoDataset) -> None:
    """ValueError if TorchGeo left out scenes, without a word, that rasterio cannot open; they are named."""
    lost: list[str] = []
    for part in getattr(dataset, "datasets", None) or (dataset,):
        if "filepath" in part.index and (pattern := getattr(part, "filename_regex", None)):
            known = {*part.index["filepath"].astype(str)}
            files = [str(file) for file in part.files if str(file) not in known]
            lost += [file for file in files if re.match(pattern, os.path.basename(file), re.VERBOSE)]
    if lost:
        raise ValueError(
            f"{len(lost)} files cannot be opened: {', '.join(lost[:5])}. Replace or remove them."
        )


def check_complete(dataset: Any) -> None:
    """ValueError if TorchGeo left out images, without a word, that its class lists for the split."""
    splits, split = getattr(dataset, "splits", None), getattr(dataset, "split", None)
    listed = splits.get(split) if isinstance(splits, Mapping) else None
    if not isinstance(listed, list | tuple):
        return
    found = [os.path.basename(name) for name in image_names(dataset)]
    # A listed name may lack what files end in.
    lost = [name for name in listed if not any(re.match(rf"{re.escape(name)}(?![0-9])", f) for f in found)]
    if lost:
        root = getattr(dataset, "root", "its root")
        raise ValueError(
            f"{len(lost)} of {len(listed)} images of the split {split!r} of {type(dataset).__name__} are not "
            f"in {root}, or lack their mask: {', '.join(lost[:5])}. Add them; or set incomplete: true, and "
            "compare with no number of the whole."
        )


def _paths(entry: Any, masks: bool) -> list[Path]:
    """The files that an entry names, some of whose values may be other things."""
    parts = entry if isinstance(entry, Mapping) else {"image": entry}
    values = [value for key, value in parts.items() if (key == _MASK) == masks]
    flat = [file for value in values for file in ([value] if isinstance(value, str | Path) else value)]
    return [Path(file) for file in flat if Path(file).is_file()]


def _scenes(dataset: GeoDataset) -> Sequence[Mapping[str, Any]]:
    """Files of every row of the index, by whether they are images or masks.

    The index of an intersection does not name them; those of its parts do.
    """
    parts = getattr(dataset, "datasets", None) or (dataset,)
    kinds = [("image" if getattr(part, "is_image", True) else _MASK, part.index) for part in parts]
    found = []
    for time, place in zip(dataset.index.index, dataset.index.geometry, strict=True):
        files: dict[str, list[str]] = {"image": [], _MASK: []}
        for kind, index in kinds:
            if "filepath" in index:
                overlaps = index.index.overlaps(time) & (index.intersection(place).area > 0).to_numpy()
                files[kind] += index["filepath"][overlaps].tolist()
        found.append(files)
    return found
