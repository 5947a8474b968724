"""Where the rasters of a sensor lie, as plain arrays."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import shapely
from affine import Affine
from numpy.typing import NDArray
from pyproj import CRS

from xstars_lightning.datasets.raster_file import RasterFile

__all__ = ["UNKNOWN", "Footprints", "to_geometries"]

Float = NDArray[np.float64]
Int = NDArray[np.int64]
UNKNOWN = np.datetime64("NaT", "us")


@dataclass(frozen=True)
class Footprints:
    """The rasters of one sensor, a row per scene.

    No Python object per row: a million scenes take about 300 MB, which forked workers share, because
    reading touches no reference count.

    Args:
        path: File, or folder of a product, per row.
        crs: The coordinate reference systems that occur.
        crs_of: Position in ``crs`` (N,).
        transform: Pixel (column, row) to coordinates, a to f (N, 6); NaN where unknown.
        shape: Height and width in pixels (N, 2); 0 where unknown.
        outline: Outline of the valid pixels as WKB in the row's own CRS (N,).
        bounds: West, south, east, north in degrees (N, 4); west > east across the antimeridian.
        time: Begin and end of the acquisition, datetime64[us], UTC (N, 2); NaT where unknown.
        stamp: Size in bytes and time of last change in nanoseconds (N, 2); -1 where unknown.
        source: Where the rows come from, for messages.
    """

    path: pa.LargeStringArray
    crs: tuple[CRS, ...]
    crs_of: NDArray[np.int32]
    transform: Float
    shape: NDArray[np.int32]
    outline: pa.LargeBinaryArray
    bounds: Float
    time: NDArray[np.datetime64]
    stamp: Int
    source: str

    def __len__(self) -> int:
        """Number of scenes."""
        return len(self.path)

    def take(self, rows: Int | Sequence[int] | slice) -> "Footprints":
        """Some of the scenes, in the order given."""
        rows = np.arange(len(self))[rows]
        return Footprints(
            self.path.take(pa.array(rows)),
            self.crs,
            self.crs_of[rows],
            self.transform[rows],
            self.shape[rows],
            self.outline.take(pa.array(rows)),
            self.bounds[rows],
            self.time[rows],
            self.stamp[rows],
            self.source,
        )

    def outlines(self, rows: Int | Sequence[int] | slice) -> NDArray[np.object_]:
        """Outlines of the valid pixels, each in its row's own CRS."""
        rows = np.arange(len(self))[rows]
        return to_geometries(self.outline.take(pa.array(rows)))

    def file(self, row: int) -> RasterFile:
        """One scene as the readers know it.

        Raises:
            ValueError: If the index does not hold its pixel grid.
        """
        path, outline = self.path[row].as_py(), shapely.from_wkb(self.outline[row].as_py())
        transform, (height, width) = Affine(*self.transform[row].tolist()), self.shape[row].tolist()
        if not height:
            raise ValueError(
                f"{self.source} says nothing of the pixel grid of {path} (proj:transform, proj:shape). "
                f"Complete it with `xstars index {self.source} --out INDEX.parquet`."
            )
        corners = [transform @ corner for corner in ((0, 0), (width, 0), (width, height), (0, height))]
        crs = self.crs[self.crs_of[row]]
        return RasterFile(path, crs, transform, width, height, shapely.Polygon(corners), outline)


def to_geometries(wkb: pa.LargeBinaryArray) -> NDArray[np.object_]:
    """Geometries of an array of WKB."""
    return np.asarray(shapely.from_wkb(wkb.to_numpy(zero_copy_only=False)), dtype=object)
