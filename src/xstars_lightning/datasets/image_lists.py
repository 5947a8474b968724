"""Labelled images in a folder per class, and lists that say which of them belong to a split."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

__all__ = ["EXTENSIONS", "find_images", "find_in_folders", "list_names", "read_lists"]

EXTENSIONS = (".jpg", ".jpeg", ".png")


def find_images(root: Path, endings: Sequence[str] = EXTENSIONS) -> dict[str, str]:
    """Find the images of all classes.

    Args:
        root: Folder of class folders. Folders without images (split lists, metadata) are no classes.
        endings: Of the files that are images, in lower case.

    Returns:
        Class by image name ``<class>/<file>``, sorted by name.

    Raises:
        FileNotFoundError: If the folder is missing or none of its folders holds an image.
    """
    if not root.is_dir():
        raise FileNotFoundError(f"No folder {root}; give the one that holds a folder of images per class.")
    found = {
        f"{folder.name}/{file.name}": folder.name
        for folder in root.iterdir()
        if folder.is_dir()
        for file in folder.iterdir()
        if file.suffix.lower() in endings
    }
    if not found:
        inside = ", ".join(sorted(entry.name for entry in root.iterdir())[:5]) or "nothing"
        raise FileNotFoundError(
            f"No folder in {root} holds images ({', '.join(endings)}); found {inside}. "
            "Give the folder that holds a folder of images per class."
        )
    return dict(sorted(found.items()))


def find_in_folders(
    root: Path, folders: Sequence[str], endings: Sequence[str] = EXTENSIONS
) -> dict[str, str]:
    """Find the images of all classes in several folders of class folders.

    Args:
        root: Folder of the folders.
        folders: Their names; ``.`` is the root itself.
        endings: As for :func:`find_images`.

    Returns:
        Class by image name ``<folder>/<class>/<file>``, sorted by name; without the folder where it is
        the root.

    Raises:
        FileNotFoundError: As :func:`find_images`.
    """
    found = {
        str(PurePosixPath(folder) / name): label
        for folder in folders
        for name, label in find_images(root / folder, endings).items()
    }
    return dict(sorted(found.items()))


def list_names(found: Mapping[str, str], folders: Sequence[str], any_ending: bool) -> dict[str, str]:
    """How lists may name images beside the names that they have.

    Args:
        found: What :func:`find_in_folders` returned.
        folders: Its folders, which lists leave out.
        any_ending: Lists may name images with another ending; they are known by what stands before it.

    Returns:
        Image name by name in lists.

    Raises:
        ValueError: If two images have the same name in lists.
    """
    named: dict[str, str] = {}
    for name in found:
        # Every folder but the root is one more part before class and file.
        short = PurePosixPath(*PurePosixPath(name).parts[-2:]) if tuple(folders) != (".",) else name
        key = str(PurePosixPath(short).with_suffix("")) if any_ending else str(short)
        if key in named:
            raise ValueError(f"Lists cannot tell {name} from {named[key]}; rename or remove one of the two.")
        named[key] = name
    return named


def read_lists(
    lists: Mapping[str, str], found: Mapping[str, str], named: Mapping[str, str] | None = None
) -> dict[str, dict[str, str]]:
    """Read CSV files of ``path,class`` rows without a header, and hold them against the images.

    Args:
        lists: CSV file by split; its paths are relative to the root.
        found: What :func:`find_in_folders` returned.
        named: What :func:`list_names` returned, if images have other names in the lists.

    Returns:
        By split, class by image name, in the order of the file.

    Raises:
        FileNotFoundError: If a list is missing, or an image that it names.
        ValueError: If a row is malformed, its class is unknown, or an image is listed twice, be
            it in one list or in two.
    """
    parts: dict[str, dict[str, str]] = {}
    origin: dict[str, str] = {}
    classes = sorted(set(found.values()))
    for split, path in lists.items():
        parts[split] = {}
        for place, given, label in _rows(Path(path)):
            name = _name(given, found, named or {})
            _check_row(place, name, label, found, classes)
            if name in origin:
                raise ValueError(
                    f"{place}: {name} was listed before, in {origin[name]}; "
                    "an image may stand in one split only, and once. Remove one of the two lines."
                )
            origin[name] = place
            parts[split][name] = label
    return parts


def _name(given: str, found: Mapping[str, str], named: Mapping[str, str]) -> str:
    """Name of the image that a list names, if there is one."""
    if given in found:
        return given
    return named.get(given) or named.get(str(PurePosixPath(given).with_suffix(""))) or given


def _rows(path: Path) -> list[tuple[str, str, str]]:
    """(file:line, path, class) of every line that is not empty."""
    if not path.is_file():
        raise FileNotFoundError(f"No list at {path}; give a CSV file of `path,class` rows without a header.")
    rows = []
    with path.open(newline="") as file:
        for number, row in enumerate(csv.reader(file), start=1):
            if len(row) not in (0, 2):
                raise ValueError(
                    f"{path}:{number}: expected `path,class` (2 columns), got {len(row)}: {','.join(row)!r}."
                )
            if row:
                rows.append((f"{path}:{number}", row[0].strip(), row[1].strip()))
    return rows


def _check_row(place: str, name: str, label: str, found: Mapping[str, str], classes: list[str]) -> None:
    if name not in found:
        stem = PurePosixPath(name).with_suffix("")
        others = [str(stem) + extension for extension in EXTENSIONS if str(stem) + extension in found]
        remedy = f"there is {others[0]}: correct the list" if others else "add the image or remove the line"
        raise FileNotFoundError(f"{place}: there is no image {name} below the root; {remedy}.")
    if label not in classes:
        raise ValueError(f"{place}: unknown class {label!r}; the class folders are {', '.join(classes)}.")
