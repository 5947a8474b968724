"""Folders, globs and files -> the list of rasters they stand for."""

import os
from collections.abc import Iterable, Iterator
from glob import glob, has_magic

from xstars_lightning.datasets.products import is_product

__all__ = ["EXTENSIONS", "find_rasters"]

EXTENSIONS = (".tif", ".tiff", ".jp2", ".vrt", ".img")


def find_rasters(paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> list[str]:
    """Find the rasters that paths stand for.

    Args:
        paths: One or several of: a folder, searched recursively for products and for files ending in
            :data:`EXTENSIONS`; a glob (``**`` is recursive); a file; a product; a GDAL name
            (``/vsi...``, ``scheme://...``), taken as it is. A product (a Sentinel-2 SAFE folder or that
            of a Landsat scene) counts as one raster, and its files are not listed.

    Returns:
        Files and folders of products, sorted, without repetition.

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
        files = list(_walk(path))
        remedy = f"looked for {', '.join(EXTENSIONS)} in it and below. Name other formats by a glob."
    elif has_magic(path):
        files = [file for file in glob(path, recursive=True) if os.path.isfile(file) or _is_scene(file)]
        remedy = "no file matches this pattern."
    else:
        raise FileNotFoundError(
            f"No such folder or file: {path!r}. Check the path (seen from {os.getcwd()})."
        )
    if not files:
        raise FileNotFoundError(f"No raster in {path!r}: {remedy}")
    return files


def _walk(folder: str) -> Iterator[str]:
    for place, folders, files in os.walk(folder):
        if is_product(place, files):
            folders.clear()
            yield place
        else:
            yield from (os.path.join(place, file) for file in files if file.lower().endswith(EXTENSIONS))


def _is_scene(path: str) -> bool:
    return os.path.isdir(path) and is_product(path)
