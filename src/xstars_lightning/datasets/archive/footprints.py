"""Where the rasters of a sensor lie, as plain arrays."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import shapely
from affine import Affine
from numpy.typing import NDArray
from pyproj import CRS
from shapely.geometry.base import BaseGeometry

from xstars_lightning.datasets.archive.stamps import check_stamp
from xstars_lightning.datasets.footprint import raster_box
from xstars_lightning.datasets.handles import open_raster
from xstars_lightning.datasets.raster_file import RasterFile, pyproj_crs
from xstars_lightning.datasets.warping import warp_outlines
from xstars_lightning.sensors import Sensor

__all__ = ["UNKNOWN", "Footprints", "concatenate", "to_geometries"]

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

    def file(self, row: int, sensor: Sensor) -> RasterFile:
        """One scene as the readers know it.

        Where the index holds no pixel grid, it is taken from the file.

        Args:
            row: Number of the scene.
            sensor: With which the file is opened, if it must be.

        Raises:
            FileNotFoundError: If the file has vanished.
            OSError: If it must be opened and cannot be.
            ValueError: If it has changed since it was indexed, or lies elsewhere than the index says.
        """
        check_stamp(self, row)
        path, crs = self.path[row].as_py(), self.crs[self.crs_of[row]]
        outline = shapely.from_wkb(self.outline[row].as_py())
        height, width = self.shape[row].tolist()
        if not height:
            return self._opened(path, crs, outline, sensor)
        transform = Affine(*self.transform[row].tolist())
        corners = [transform @ corner for corner in ((0, 0), (width, 0), (width, height), (0, height))]
        return RasterFile(path, crs, transform, width, height, shapely.Polygon(corners), outline)

    def _opened(self, path: str, crs: CRS, outline: BaseGeometry, sensor: Sensor) -> RasterFile:
        source = open_raster(path, sensor).source
        found = pyproj_crs(source)
        # One object per CRS: readers compare them by identity.
        found = next((known for known in (crs, *self.crs) if known == found), found)
        box = raster_box(source)
        outline = shapely.intersection(box, warp_outlines([outline], [crs], found)[0])
        if not outline.area > 0:
            raise ValueError(
                f"{path} does not lie where the index {self.source} says: its box is {box.wkt} "
                f"in {found.name!r}. Correct its geometry there, or index the files by `xstars index "
                "FOLDER --sensor NAME --out INDEX.parquet`."
            )
        return RasterFile(path, found, source.transform, source.width, source.height, box, outline)


def concatenate(parts: Sequence[Footprints], source: str) -> Footprints:
    """The scenes of one or more footprints, one after the other; equal CRSs become one object."""
    numbers: dict[str, int] = {}
    crs: list[CRS] = []
    for one in (one for part in parts for one in part.crs):
        if (text := one.to_wkt()) not in numbers:
            # One CRS may be written in two ways.
            numbers[text] = crs.index(one) if one in crs else len(crs)
            crs += [one] * (numbers[text] == len(crs))
    renumbered = [
        np.array([numbers[one.to_wkt()] for one in part.crs], np.int32)[part.crs_of] for part in parts
    ]
    return Footprints(
        pa.concat_arrays([part.path for part in parts]),
        tuple(crs),
        np.concatenate(renumbered),
        np.concatenate([part.transform for part in parts]),
        np.concatenate([part.shape for part in parts]),
        pa.concat_arrays([part.outline for part in parts]),
        np.concatenate([part.bounds for part in parts]),
        np.concatenate([part.time for part in parts]),
        np.concatenate([part.stamp for part in parts]),
        source,
    )


def to_geometries(wkb: pa.LargeBinaryArray) -> NDArray[np.object_]:
    """Geometries of an array of WKB."""
    return np.asarray(shapely.from_wkb(wkb.to_numpy(zero_copy_only=False)), dtype=object)
