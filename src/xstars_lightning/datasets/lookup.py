"""Which files cover a window."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import shapely
from pyproj import CRS
from shapely import STRtree

from xstars_lightning.datasets.raster_file import RasterFile
from xstars_lightning.datasets.warping import warp_outlines

__all__ = ["FileLookup"]


class FileLookup:
    """Raster files by place and time, through an STRtree.

    Args:
        files: The files.
        times: Their time intervals.
        crs: Coordinate reference system of the windows.
        margin: Length in units of ``crs`` by which the images' outlines are grown, for pixels that
            a warp spreads over the edge.
    """

    def __init__(self, files: Sequence[RasterFile], times: pd.IntervalIndex, crs: CRS, margin: float) -> None:
        boxes = warp_outlines([file.box for file in files], [file.crs for file in files], crs)
        self._files = files
        self._begin, self._end = (np.array(side.asi8) for side in (times.left, times.right))
        self._unit = times.left.unit
        self._tree = STRtree(shapely.buffer(boxes, margin))

    def __call__(self, x: slice, y: slice, t: slice | None = None) -> list[RasterFile]:
        """Files that touch a window, at any time by default; the one that covers most of it first."""
        window = shapely.box(x.start, y.start, x.stop, y.stop)
        rows = np.sort(self._tree.query(window, predicate="intersects"))
        if t is not None:
            begin, end = (pd.Timestamp(time).as_unit(self._unit).value for time in (t.start, t.stop))
            rows = rows[(self._begin[rows] <= end) & (self._end[rows] >= begin)]
        if len(rows) > 1:
            shared = shapely.area(shapely.intersection(self._tree.geometries[rows], window))
            # Rounded: equal cover keeps the order of the index whatever the last bit says.
            rows = rows[np.argsort(-np.round(shared / window.area, 6), kind="stable")]
        return [self._files[row] for row in rows]
