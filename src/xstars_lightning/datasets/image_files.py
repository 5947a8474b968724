"""Which images a dataset of TorchGeo has, and what their classes are called."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["class_names_of", "files_of", "names_of"]

_FILE_KEYS = ("image", "img", "path", "file")


def files_of(dataset: Any) -> list[Path] | None:
    """Files of the images, in their order; None if the dataset does not tell them.

    Args:
        dataset: With ``imgs`` as TorchGeo's class folders, with ``files``, or with ``names`` below ``root``.
    """
    if hasattr(dataset, "imgs"):
        entries: Sequence[Any] = [path for path, _ in dataset.imgs]
    elif hasattr(dataset, "files"):
        entries = [_file(entry) for entry in dataset.files]
    elif hasattr(dataset, "names") and hasattr(dataset, "root"):
        entries = [Path(dataset.root) / name for name in dataset.names]
    else:
        return None
    files = [Path(entry) for entry in entries if isinstance(entry, str | Path)]
    known = len(files) == len(dataset) > 0 and files[0].is_file()
    return files if known else None


def _file(entry: Any) -> Any:
    """The file of an entry that may name other things beside it."""
    if isinstance(entry, Mapping):
        return next((entry[key] for key in _FILE_KEYS if key in entry), None)
    return entry


def names_of(dataset: Any) -> list[str]:
    """Names of the images: the dataset's, else those of the files below its root, else their numbers."""
    if hasattr(dataset, "names"):
        return list(dataset.names)
    if (files := files_of(dataset)) is None:
        return [str(number) for number in range(len(dataset))]
    return [os.path.relpath(file, getattr(dataset, "root", ".")) for file in files]


def class_names_of(dataset: Any) -> list[str] | None:
    """Names of the classes, in the order of the labels; None if the dataset does not tell them.

    Args:
        dataset: With ``classes``, or ``class_set`` or ``class_sets`` as those of BigEarthNet.
    """
    names = getattr(dataset, "classes", None) or getattr(dataset, "class_set", None)
    if names is None and hasattr(dataset, "class_sets"):
        names = dataset.class_sets[dataset.num_classes]
    return None if names is None else [str(name) for name in names]
