"""Files that hold one stack of channels: npz, npy or GeoTIFF."""

import warnings
import zipfile
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning, RasterioIOError

__all__ = ["EXTENSIONS", "find_stacks", "read_stack"]

EXTENSIONS = (".npz", ".npy", ".tif", ".tiff")


def find_stacks(root: Path) -> list[Path]:
    """All stacks in a folder and below, sorted.

    Raises:
        FileNotFoundError: If there is none.
    """
    if not root.is_dir():
        raise FileNotFoundError(f"No folder {root}; give the one that holds the stacks.")
    found = sorted(file for file in root.rglob("*") if file.suffix.lower() in EXTENSIONS)
    if not found:
        raise FileNotFoundError(f"No stack ({', '.join(EXTENSIONS)}) in {root} and its folders.")
    return found


def read_stack(path: Path) -> NDArray[np.generic]:
    """Read a stack (C, H, W); a leading axis of length 1 is taken off.

    Raises:
        OSError: If the file is truncated or no file of its kind.
        ValueError: If it holds no single array of channels.
    """
    try:
        found = _arrays(path)
    except (RasterioIOError, EOFError, ValueError, zipfile.BadZipFile) as error:
        raise OSError(f"Cannot read {path}: {error} Restore it from its source, or remove it.") from error
    if len(found) != 1:
        raise ValueError(f"{path} holds {len(found)} arrays ({', '.join(found)}); one is wanted.")
    (values,) = found.values()
    if values.ndim == 4 and len(values) == 1:
        values = values[0]
    if values.ndim != 3:
        raise ValueError(f"{path} holds an array of shape {values.shape}, not (channels, height, width).")
    return values


def _arrays(path: Path) -> dict[str, NDArray[np.generic]]:
    if path.suffix.lower() == ".npy":
        return {"": np.load(path)}
    if path.suffix.lower() == ".npz":
        with np.load(path) as archive:
            return dict(archive)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path) as file:
            return {"": file.read()}
