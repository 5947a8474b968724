"""The CRS in which the windows of a scene lie, and the size of its pixels in metres."""

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS

from xstars_lightning.datasets.archive.footprints import Footprints
from xstars_lightning.datasets.raster_file import metres_per_unit
from xstars_lightning.datasets.warping import METRES_PER_DEGREE

__all__ = ["pixel_sizes", "window_crs"]

Float = NDArray[np.float64]


def window_crs(index: Footprints) -> tuple[tuple[CRS, ...], NDArray[np.int32]]:
    """CRSs in metres: a scene's own if it is one, else its UTM zone, or UPS beyond 84 N and 80 S.

    Returns:
        The CRSs, and the position in them for each scene (N,).
    """
    crs_of = index.crs_of.copy()
    known = list(index.crs)
    metric = np.array([_in_metres(crs) for crs in known], dtype=bool)
    other = np.flatnonzero(~metric[crs_of])
    codes, back = np.unique(_zones(index.bounds[other]), return_inverse=True)
    crs_of[other] = len(known) + back
    return tuple(known + [CRS(code) for code in codes.tolist()]), crs_of


def pixel_sizes(index: Footprints) -> Float:
    """Height of a pixel in metres (N,); NaN where the index does not know the grid."""
    units = np.array([METRES_PER_DEGREE if crs.is_geographic else metres_per_unit(crs) for crs in index.crs])
    return np.hypot(index.transform[:, 1], index.transform[:, 4]) * units[index.crs_of]


def _in_metres(crs: CRS) -> bool:
    return bool(crs.is_projected and crs.axis_info and crs.axis_info[0].unit_name in ("metre", "meter"))


def _zones(bounds: Float) -> NDArray[np.int64]:
    """EPSG code for the centre of each box (N,)."""
    west, south, east, north = bounds.T
    east = np.where(east < west, east + 360, east)
    zone = np.floor(((west + east) / 2 + 180) / 6).astype(np.int64) % 60 + 1
    lat = (south + north) / 2
    utm = np.where(lat < 0, 32700, 32600) + zone
    return np.select([lat > 84, lat < -80], [32661, 32761], utm)
