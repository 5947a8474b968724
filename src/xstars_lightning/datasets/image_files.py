"""Which images a dataset of TorchGeo has, and what their classes are called."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from xstars_lightning.evaluation.files import Files, paths_of

__all__ = ["class_names_of", "files_of", "names_of"]

_LABELS = ("mask", "label", "target")


def files_of(dataset: Any) -> list[Files] | None:
    """Files of the images, in their order, one or several of each; None if the dataset does not tell them.

    Args:
        dataset: With ``imgs`` as TorchGeo's class folders, with ``files``, or with ``names`` below ``root``.
    """
    if hasattr(dataset, "imgs"):
        entries: Sequence[Any] = [path for path, _ in dataset.imgs]
    elif hasattr(dataset, "files"):
        entries = dataset.files
    elif hasattr(dataset, "names") and hasattr(dataset, "root"):
        entries = [Path(dataset.root) / name for name in dataset.names]
    else:
        return None
    files = [_paths(entry) for entry in entries]
    known = len(files) == len(dataset) > 0 and all(files) and files[0][0].is_file()
    return [several[0] if len(several) == 1 else several for several in files] if known else None


def _paths(entry: Any) -> list[Path]:
    """All files of an image that an entry names; of a mapping, some values may be other things."""
    named = isinstance(entry, Mapping)
    values = [value for key, value in entry.items() if key not in _LABELS] if named else [entry]
    flat = [file for value in values for file in (value if isinstance(value, list | tuple) else [value])]
    files = [Path(file) for file in flat if isinstance(file, str | Path)]
    return [file for file in files if file.is_file()] if named else files


def names_of(dataset: Any) -> list[str]:
    """Names of the images: the dataset's, else of their first files below its root, else their numbers."""
    if hasattr(dataset, "names"):
        return list(dataset.names)
    if (files := files_of(dataset)) is None:
        return [str(number) for number in range(len(dataset))]
    return [os.path.relpath(paths_of(file)[0], getattr(dataset, "root", ".")) for file in files]


def class_names_of(dataset: Any) -> list[str] | None:
    """Names of the classes, in the order of the labels; None if the dataset does not tell them.

    Args:
        dataset: With ``classes``, or ``class_set`` or ``class_sets`` as those of BigEarthNet.
    """
    names = getattr(dataset, "classes", None) or getattr(dataset, "class_set", None)
    if names is None and hasattr(dataset, "class_sets"):
        names = dataset.class_sets[dataset.num_classes]
    return None if names is None else [str(name) for name in names]
