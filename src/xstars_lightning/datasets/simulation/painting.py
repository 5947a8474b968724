"""Vector shapes burnt onto the grid."""

from collections.abc import Iterable
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from rasterio.features import rasterize
from rasterio.transform import Affine
from shapely.geometry.base import BaseGeometry

__all__ = ["mask", "paint"]

_ONE_AT_A_TIME = Lock()


def paint(canvas: NDArray[Any], shapes: Iterable[BaseGeometry], values: ArrayLike, resolution: float) -> None:
    """Burn shapes (metres, x to the right, y downwards) into ``canvas`` (H, W) in place, in order."""
    shapes = list(shapes)
    filled = np.broadcast_to(np.asarray(values), (len(shapes),)).tolist()
    pairs = [pair for pair in zip(shapes, filled, strict=True) if not pair[0].is_empty]
    if not pairs:
        return
    # Two threads at once make GDAL complain, now and then, of the transform that it was just given.
    with _ONE_AT_A_TIME:
        rasterize(pairs, out=canvas, transform=Affine.scale(resolution))


def mask(shapes: Iterable[BaseGeometry], shape: tuple[int, int], resolution: float) -> NDArray[np.bool_]:
    """True inside any of the shapes; (H, W)."""
    canvas = np.zeros(shape, dtype=np.uint8)
    paint(canvas, shapes, 1, resolution)
    return canvas.astype(bool)
