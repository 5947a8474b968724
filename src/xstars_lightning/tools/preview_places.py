"""Where scenes and windows of a dataset lie, in longitude and latitude."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd
import shapely
from geopandas import GeoDataFrame
from numpy.typing import NDArray

from xstars_lightning.datasets.archive.footprints import Footprints
from xstars_lightning.datasets.archive.lonlat import to_lonlat
from xstars_lightning.datasets.archive.pairs import PairWindow
from xstars_lightning.sensors import Sensor

__all__ = ["Grounded", "Scenes", "resolution_of", "scenes_of", "window_outlines"]

Geometries = NDArray[np.object_]
DRAWN = 5000  # outlines; more make no better map
EARLIEST = 1800  # year; no image is older


class Grounded(Protocol):
    """A dataset that knows where its windows can lie."""

    def ground(self) -> GeoDataFrame:
        """Ground that windows are drawn from, in EPSG:4326, a row per piece or pair of scenes.

        Returns:
            Columns ``geometry``, ``km2``, and ``days`` between the acquisitions, NaN where unknown.
        """


@dataclass(frozen=True)
class Scenes:
    """The scenes of one sensor.

    Args:
        count: How many.
        outlines: Outlines of some of them in longitude and latitude (N,).
        first: Earliest acquisition; NaT where none is known.
        last: Latest acquisition.
        dated: How many have a date.
    """

    count: int
    outlines: Geometries
    first: pd.Timestamp
    last: pd.Timestamp
    dated: int


def scenes_of(dataset: Any, key: str) -> Scenes:
    """The scenes of a sensor of a `CrossSensorDataset` or `ArchiveDataset`."""
    if hasattr(dataset, "indexes"):
        return _of_footprints(dataset.indexes[key])
    frame = dataset.datasets[key].index
    rows = _some(len(frame))
    number = np.zeros(len(rows), dtype=np.int32)
    outlines, _ = to_lonlat(frame.geometry.to_numpy()[rows], number, [frame.crs])
    # TorchGeo gives files without a date all the time there is, from 1677 on.
    known = frame.index[frame.index.left.year >= EARLIEST]
    return Scenes(len(frame), outlines, known.left.min(), known.right.max(), len(known))


def resolution_of(dataset: Any, key: str, sensor: Sensor) -> float:
    """Metres per pixel of a sensor: the files' own, where the dataset knows them."""
    if hasattr(dataset, "resolutions"):
        return float(dataset.resolutions[key])
    return float(dataset.datasets[key].resolution if hasattr(dataset, "datasets") else sensor.resolution)


def _of_footprints(index: Footprints) -> Scenes:
    rows = _some(len(index))
    outlines, _ = to_lonlat(index.outlines(rows), index.crs_of[rows], index.crs)
    known = index.time[~np.isnat(index.time[:, 0])]
    ends = (known[:, 0].min(), known[:, 1].max()) if len(known) else (pd.NaT, pd.NaT)
    return Scenes(len(index), outlines, pd.Timestamp(ends[0]), pd.Timestamp(ends[1]), len(known))


def _some(count: int) -> NDArray[np.int64]:
    rows = np.arange(count)
    return rows if count <= DRAWN else np.sort(np.random.default_rng(0).choice(rows, DRAWN, replace=False))


def window_outlines(dataset: Any, windows: Sequence[Any]) -> Geometries:
    """Outlines (N,) of windows, as samplers give them, in longitude and latitude."""
    if not len(windows):
        return np.empty(0, dtype=object)
    if isinstance(windows[0], PairWindow):
        pair, *sides = np.array(windows).T
        crs, number = dataset.pairs.crs, dataset.pairs.crs_of[pair.astype(np.int64)]
    else:
        sides = list(np.array([(x.start, y.start, x.stop, y.stop) for x, y in windows]).T)
        crs, number = [dataset.crs], np.zeros(len(windows), dtype=np.int32)
    return to_lonlat(shapely.box(*sides), number, crs)[0]
