"""Classes of ground (land cover, regions) that are to be drawn equally often."""

import logging
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from pyproj import CRS
from rasterio.features import rasterize
from rasterio.transform import from_bounds

__all__ = ["Balance", "Strata"]

logger = logging.getLogger(__name__)
Float = NDArray[np.float64]
Int = NDArray[np.int64]
SIDE = 8192  # pixels in memory along the longer side
MOST = 1000  # distinct values that may still be classes
RARE = 0.01


@dataclass(frozen=True)
class Strata:
    """A map of classes, as one plain array.

    Args:
        names: Of the classes.
        codes: Class of each pixel (H, W), a position in ``names``; -1 where there is none.
        transform: Pixel (column, row) to coordinates in ``crs``.
        crs: Coordinate reference system.
    """

    names: tuple[str, ...]
    codes: NDArray[np.int16]
    transform: Affine
    crs: CRS

    @classmethod
    def from_raster(cls, path: str | Path) -> "Strata":
        """Classes by the values of a raster's first band, decimated to 8192 pixels a side at most.

        Raises:
            ValueError: If it has no CRS, or more than 1000 values, which cannot be classes.
        """
        with rasterio.open(path) as file:
            shrink = max(1.0, max(file.height, file.width) / SIDE)
            shape = (max(1, round(file.height / shrink)), max(1, round(file.width / shrink)))
            values = file.read(1, out_shape=shape, masked=True)
            transform = file.transform @ Affine.scale(file.width / shape[1], file.height / shape[0])
            crs = file.crs
        if crs is None:
            raise ValueError(f"{path} has no coordinate reference system. Add it with `gdal_edit.py -a_srs`.")
        found, codes = np.unique(values.compressed(), return_inverse=True)
        if len(found) > MOST:
            raise ValueError(f"{path} holds {len(found)} values: no map of classes. Give one, or its band.")
        drawn = np.full(shape, -1, dtype=np.int16)
        drawn[~np.ma.getmaskarray(values)] = codes
        return cls(tuple(map(str, found.tolist())), drawn, transform, CRS.from_user_input(crs.to_wkt()))

    @classmethod
    def from_vector(cls, path: str | Path, column: str) -> "Strata":
        """Classes by a column of a file of polygons, drawn on 8192 pixels along the longer side.

        Raises:
            ValueError: If there is no such column, no CRS, or more than 1000 values.
        """
        frame = gpd.read_file(path)
        if column not in frame or frame.crs is None:
            raise ValueError(
                f"{path} needs a coordinate reference system, which is {frame.crs}, and the column "
                f"{column!r} among its columns {', '.join(map(str, frame.columns))}."
            )
        names, codes = np.unique(frame[column].astype(str), return_inverse=True)
        if len(names) > MOST:
            raise ValueError(
                f"Column {column!r} of {path} holds {len(names)} values: no classes. Name another."
            )
        xmin, ymin, xmax, ymax = frame.total_bounds
        pixel = max(xmax - xmin, ymax - ymin) / SIDE
        height, width = (max(1, round(span / pixel)) for span in (ymax - ymin, xmax - xmin))
        transform = from_bounds(xmin, ymin, xmax, ymax, width, height)
        shapes = zip(frame.geometry, codes.tolist(), strict=True)
        drawn = rasterize(shapes, (height, width), fill=-1, transform=transform, dtype="int16")
        return cls(tuple(names.tolist()), drawn, transform, frame.crs)

    @classmethod
    def from_file(cls, path: str | Path, column: str | None = None) -> "Strata":
        """Classes of a raster, or of a vector file by a column of it."""
        return cls.from_raster(path) if column is None else cls.from_vector(path, column)

    def at(self, x: Float, y: Float) -> Int:
        """Class (N,) of points in ``crs``; -1 where there is none."""
        with np.errstate(invalid="ignore"):  # infinite: points without a place in the CRS
            col, row = np.floor(~self.transform @ (x, y))
        height, width = self.codes.shape
        inside = (col >= 0) & (col < width) & (row >= 0) & (row < height)
        classes = np.full(len(x), -1)
        classes[inside] = self.codes[row[inside].astype(int), col[inside].astype(int)]
        return classes


@dataclass(frozen=True)
class Balance:
    """Chances at which proposals are accepted, so that all classes come equally often.

    A class of frequency f is accepted with chance ``max(least f, 0.01) / f``, at most 1. A class rarer
    than 1 % thus stays rarer than the others: else a draw would take any number of proposals. With K
    classes, each of 1 % or more, a draw takes at most 100 / K. Ground without a class is not drawn.

    Args:
        strata: The classes.
        chances: Of acceptance, per class (K,).
    """

    strata: Strata
    chances: Float

    @classmethod
    def of(cls, strata: Strata, classes: Int) -> "Balance":
        """Balance by the classes (N,) of windows drawn without regard to them; logs a table.

        Raises:
            ValueError: If none of the windows has a class.
        """
        seen = np.bincount(classes[classes >= 0], minlength=len(strata.names)) / len(classes)
        if not seen.any():
            raise ValueError(
                f"None of {len(classes)} windows lies on a class of the strata "
                f"({', '.join(strata.names[:10])}). Check that the map covers the data, and its CRS."
            )
        level = max(seen[seen > 0].min(), RARE)
        chances = np.minimum(1, level / np.maximum(seen, level))
        drawn = seen * chances / (seen @ chances)
        table = "\n".join(
            f"  {name}: {share:.2%} -> {then:.2%}"
            for name, share, then in zip(strata.names, seen, drawn, strict=True)
            if share
        )
        logger.info("Share of windows by class, before and after balancing:\n%s", table)
        return cls(strata, chances)

    def accepts(self, classes: Int, rng: np.random.Generator) -> NDArray[np.bool_]:
        """Which windows to keep, by their classes (N,)."""
        chances = np.append(self.chances, 0.0)[classes]  # class -1 takes the last
        return rng.random(len(classes)) < chances
