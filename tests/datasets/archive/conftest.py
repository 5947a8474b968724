"""Footprints by hand, for tests of this folder."""

import numpy as np
import pyarrow as pa
import pytest
import shapely
from pyproj import CRS, Transformer

from xstars_lightning.datasets.archive.footprints import Footprints


def lonlat_bounds(outline, crs):
    """West, south, east, north of an outline in degrees; west > east across the antimeridian."""
    corners = shapely.get_coordinates(shapely.segmentize(outline, outline.length / 80))
    lon, lat = Transformer.from_crs(crs, "OGC:CRS84", always_xy=True).transform(*corners.T)
    if np.ptp(lon) > 180:
        return lon[lon > 0].min(), lat.min(), lon[lon < 0].max(), lat.max()
    return lon.min(), lat.min(), lon.max(), lat.max()


@pytest.fixture
def make_footprints():
    """Footprints of rows (outline in its own CRS, CRS, date or None), north up, pixels of ``res``."""

    def make(rows, res=10.0, paths=None, source="index.parquet"):
        outlines, names, dates = zip(*rows, strict=True)
        known = {name: CRS(name) for name in dict.fromkeys(names)}
        order = list(known)
        bounds = shapely.bounds(outlines)
        shape = np.round(np.stack([bounds[:, 3] - bounds[:, 1], bounds[:, 2] - bounds[:, 0]], axis=1) / res)
        zero = np.zeros(len(rows))
        transform = np.stack([zero + res, zero, bounds[:, 0], zero, zero - res, bounds[:, 3]], axis=1)
        times = np.array([date or "NaT" for date in dates], dtype="datetime64[us]")
        return Footprints(
            path=pa.array([str(p) for p in paths or range(len(rows))], pa.large_string()),
            crs=tuple(known.values()),
            crs_of=np.array([order.index(name) for name in names], dtype=np.int32),
            transform=transform,
            shape=shape.astype(np.int32),
            outline=pa.array(shapely.to_wkb(outlines), pa.large_binary()),
            bounds=np.array([lonlat_bounds(*row) for row in zip(outlines, names, strict=True)]),
            time=np.stack([times, times], axis=1),
            stamp=np.full((len(rows), 2), -1),
            source=source,
        )

    return make
