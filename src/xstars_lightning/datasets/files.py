"""Folders, globs and files -> the list of rasters they stand for."""

import os
from collections.abc import Iterable
from glob import glob, has_magic
from pathlib import Path

__all__ = ["EXTENSIONS", "find_rasters"]

EXTENSIONS = (".tif", ".tiff", ".jp2", ".vrt", ".img")


def find_rasters(paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> list[str]:
    """Find the rasters that paths stand for.

    Args:
        paths: One or several of: a folder, searched recursively for files ending in
            :data:`EXTENSIONS`; a glob (``**`` is recursive); a file; a GDAL name
            (``/vsi...``, ``scheme://...``), taken as it is.

    Returns:
        Files, sorted, without repetition.

    Raises:
        FileNotFoundError: If a path does not exist, or a folder or glob holds no raster.
    """
    several = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    found = {file for path in several for file in _expand(os.fspath(path))}
    if not found:
        raise FileNotFoundError("No raster files given: the list of paths is empty.")
    return sorted(found)


def _expand(path: str) -> list[str]:
    if path.startswith("/vsi") or "://" in path or os.path.isfile(path):
        return [path]
    if os.path.isdir(path):
        files = [str(file) for file in Path(path).rglob("*") if file.suffix.lower() in EXTENSIONS]
        remedy = f"looked for {', '.join(EXTENSIONS)} in it and below. Name other formats by a glob."
    elif has_magic(path):
        files = [file for file in glob(path, recursive=True) if os.path.isfile(file)]
        remedy = "no file matches this pattern."
    else:
        raise FileNotFoundError(
            f"No such folder or file: {path!r}. Check the path (seen from {os.getcwd()})."
        )
    if not files:
        raise FileNotFoundError(f"No raster in {path!r}: {remedy}")
    return files
