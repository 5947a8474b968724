"""The CRS in which the windows of a scene lie, and the size of its pixels in metres."""

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS, Geod, Transformer

from xstars_lightning.datasets.archive.footprints import Footprints
from xstars_lightning.datasets.archive.lonlat import LONLAT
from xstars_lightning.datasets.raster_file import metres_per_unit
from xstars_lightning.datasets.warping import METRES_PER_DEGREE

__all__ = ["pixel_sizes", "utm_zones", "window_crs"]

Float = NDArray[np.float64]

GEOD = Geod(ellps="WGS84")
STEP = 1e-3  # degrees over which the scale of a projection is measured
# Scale of a projection that is off by more is no metre: EPSG:3857 beyond 18 degrees of latitude. Grids of a
# country or a pole keep theirs: EPSG:3413 is off by 3 % at the pole, and by 4 % in the south of Greenland.
OFF = 0.05


def window_crs(index: Footprints) -> tuple[tuple[CRS, ...], NDArray[np.int32]]:
    """CRSs in metres: a scene's own if its metres are those of the ground, else its UTM or UPS zone.

    Returns:
        The CRSs, and the position in them for each scene (N,).
    """
    crs_of = index.crs_of.copy()
    known = list(index.crs)
    metric = np.array([_in_metres(crs) for crs in known], dtype=bool)
    other = np.flatnonzero(~metric[crs_of] | (np.abs(_scales(index) - 1) > OFF))
    codes, back = np.unique(utm_zones(index.bounds[other]), return_inverse=True)
    crs_of[other] = len(known) + back
    return tuple(known + [CRS(code) for code in codes.tolist()]), crs_of


def pixel_sizes(index: Footprints) -> Float:
    """Height of a pixel in metres of the ground (N,); NaN where the index does not know the grid.

    In projections that are true to scale within 5 % it is that of the projection: 10 m stay 10 m.
    """
    units = np.array([METRES_PER_DEGREE if crs.is_geographic else metres_per_unit(crs) for crs in index.crs])
    scales = _scales(index)
    scales[np.abs(scales - 1) <= OFF] = 1
    return np.hypot(index.transform[:, 1], index.transform[:, 4]) * units[index.crs_of] / scales


def utm_zones(bounds: Float) -> NDArray[np.int64]:
    """EPSG code of the UTM zone of each box (N, 4) in degrees, or of UPS.

    UPS is for boxes that reach beyond 84 N or 80 S. The UTM zone is that of the middle of the box, whose west
    may be > east across the antimeridian.
    """
    west, south, east, north = bounds.T
    zone = np.floor((_middle(west, east) + 180) / 6).astype(np.int64) % 60 + 1
    utm = np.where(south + north < 0, 32700, 32600) + zone
    return np.select([north > 84, south < -80], [32661, 32761], utm)


def _in_metres(crs: CRS) -> bool:
    return bool(crs.is_projected and crs.axis_info and crs.axis_info[0].unit_name in ("metre", "meter"))


def _middle(west: Float, east: Float) -> Float:
    """Longitude halfway to the east."""
    return west + (east - west) % 360 / 2


def _scales(index: Footprints) -> Float:
    """Length in its projection by that on the ground for each scene (N,), where it is off most; 1 in degrees.

    It is measured at the whole degree next to the scene's middle, so that neighbours are treated alike.
    """
    west, south, east, north = index.bounds.T
    lon, lat = np.round(_middle(west, east)) % 360, np.clip(np.round((south + north) / 2), -89, 89)
    numbers = (index.crs_of.astype(np.int64) * 360 + lon.astype(np.int64)) * 180 + lat.astype(np.int64) + 90
    places, back = np.unique(numbers, return_inverse=True)
    (crs_of, lon), lat = np.divmod(places // 180, 360), places % 180 - 90
    scales = np.ones(len(places))
    for number in np.unique(crs_of):
        here = crs_of == number
        if not (crs := index.crs[number]).is_geographic:
            scales[here] = _scale(crs, (lon[here] + 180.0) % 360 - 180, lat[here].astype(float))
    return scales[back]


def _scale(crs: CRS, lon: Float, lat: Float) -> Float:
    """Scale of a projection at points (N,), to the east or to the north, whichever is farther from 1."""
    move = Transformer.from_crs(LONLAT, crs, always_xy=True).transform
    unit, sides = metres_per_unit(crs), []
    for east, north in ((STEP, 0.0), (0.0, STEP)):
        begin, end = (lon - east, lat - north), (lon + east, lat + north)
        ground = GEOD.inv(*begin, *end)[2]
        (x0, y0), (x1, y1) = move(*begin), move(*end)
        sides.append(np.hypot(x1 - x0, y1 - y0) * unit / ground)
    return np.where(np.abs(sides[0] - 1) > np.abs(sides[1] - 1), *sides)
