"""Size of footprints on the ground, and whether it makes sense."""

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Geod

from xstars_lightning.datasets.archive.footprints import Footprints
from xstars_lightning.datasets.archive.lonlat import LONLAT, moved
from xstars_lightning.datasets.raster_file import metres_per_unit
from xstars_lightning.sensors import Sensor

__all__ = ["area_km2", "footprint_errors", "pixel_metres"]

Float = NDArray[np.float64]

GEOD = Geod(ellps="WGS84")
OFF = 10.0  # factor between a file's pixels and the sensor's
ASTRAY = 30.0  # degrees of longitude; images reach beyond their zone, but not by five zones
CHUNK = 65_536  # rows; geometries of so many take about 100 MB


def pixel_metres(footprints: Footprints) -> Float:
    """Ground size of the pixel in the middle of each scene (N,), in metres; NaN where the grid is unknown."""
    a, b, c, d, e, f = footprints.transform.T
    row, col = footprints.shape.T / 2
    points = [(a * x + b * y + c, d * x + e * y + f) for x, y in ((col, row), (col + 1, row), (col, row + 1))]
    sizes = np.full(len(footprints), np.nan)
    for number in np.unique(footprints.crs_of):
        rows = np.flatnonzero((footprints.crs_of == number) & (footprints.shape[:, 0] > 0))
        middle, east, south = (_in_degrees(x[rows], y[rows], footprints.crs[number]) for x, y in points)
        sizes[rows] = np.sqrt(_distance(middle, east) * _distance(middle, south))
    return sizes


def area_km2(footprints: Footprints) -> Float:
    """Ground within the outline of each scene (N,), as if the whole scene had the scale of its middle."""
    area = np.concatenate(
        [
            shapely.area(footprints.outlines(slice(start, start + CHUNK)))
            for start in range(0, len(footprints), CHUNK)
        ]
    )
    a, b, _, d, e, _ = footprints.transform.T
    scale = pixel_metres(footprints) ** 2 / np.abs(a * e - b * d)
    units = np.array([metres_per_unit(crs) for crs in footprints.crs])[footprints.crs_of]
    return area * np.where(np.isnan(scale), units**2, scale) / 1e6


def footprint_errors(footprints: Footprints, sensor: Sensor) -> dict[int, ValueError]:
    """Why scenes cannot lie where their files say.

    Returns:
        An error per row whose box is not finite, outside the CRS or of no size, or whose pixels are more
        than ten times larger or smaller on the ground than the sensor's resolution.
    """
    west, south, east, north = bounds = footprints.bounds.T
    a, b, _, d, e, _ = footprints.transform.T
    problems = (
        (a * e == b * d, "of no size"),
        (~np.isfinite(bounds).all(axis=0) | (south < -91) | (north > 91), "outside its CRS"),
        ((west == east) | (south >= north), "of no size"),
        (_astray(footprints), "outside its CRS"),
    )
    errors: dict[int, ValueError] = {}
    for wrong, what in problems:
        for row in np.flatnonzero(wrong).tolist():
            errors.setdefault(row, _misplaced(footprints, row, what))
    sound = np.setdiff1d(np.arange(len(footprints)), list(errors)).astype(np.int64)
    sizes = pixel_metres(footprints.take(sound))
    with np.errstate(divide="ignore"):
        wrong = np.abs(np.log(sizes / sensor.resolution)) > np.log(OFF)
    for row, size in zip(sound[wrong].tolist(), sizes[wrong].tolist(), strict=True):
        errors[row] = ValueError(
            f"{footprints.path[row].as_py()} has pixels of {size:.3g} m on the ground, but sensor "
            f"{sensor.name!r} has {sensor.resolution:g} m. Correct the file's geotransform or CRS "
            f"({footprints.crs[footprints.crs_of[row]].name!r}), or choose the sensor that matches it."
        )
    return errors


def _misplaced(footprints: Footprints, row: int, what: str) -> ValueError:
    outline = footprints.outlines([row])[0]
    return ValueError(
        f"{footprints.path[row].as_py()} has a footprint {what}: {outline.wkt[:200]} in "
        f"{footprints.crs[footprints.crs_of[row]].name!r}. Correct its geotransform or CRS with "
        "`rio edit-info` or `gdal_edit.py`, or remove the file."
    )


def _astray(footprints: Footprints) -> NDArray[np.bool_]:
    """Which scenes (N,) lie far from the longitudes for which their projection is made."""
    use = np.array([_longitudes(crs) for crs in footprints.crs])[footprints.crs_of]
    west, _, east, _ = footprints.bounds.T
    with np.errstate(invalid="ignore"):  # boxes that are not finite
        middle, half = west + (east - west) % 360 / 2, use[:, 1] / 2
        return np.abs((middle - use[:, 0] - half + 180) % 360 - 180) > half + ASTRAY


def _longitudes(crs: CRS) -> tuple[float, float]:
    """Western end and extent of the area that a CRS is for; all around where nothing says."""
    authority = crs.to_authority()
    area = None if authority is None else CRS.from_authority(*authority).area_of_use  # files do not keep it
    return (-180.0, 360.0) if area is None else (area.west, (area.east - area.west) % 360 or 360.0)


def _in_degrees(x: Float, y: Float, crs: CRS) -> Float:
    return shapely.get_coordinates(moved(np.asarray(shapely.points(x, y)), crs, LONLAT))


def _distance(one: Float, other: Float) -> Float:
    return np.asarray(GEOD.inv(*one.T, *other.T)[2], dtype=np.float64)
