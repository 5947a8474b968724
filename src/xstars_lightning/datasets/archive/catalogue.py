"""Catalogues of rasters made elsewhere: stac-geoparquet [0] and plain GeoParquet -> footprints.

References:
    [0] https://github.com/stac-utils/stac-geoparquet
"""

import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely
from numpy.typing import NDArray
from pyproj import CRS

from xstars_lightning.datasets.archive.antimeridian import boxes, joined
from xstars_lightning.datasets.archive.catalogue_columns import (
    file_column,
    geometry_column,
    row_crs,
    row_grids,
    row_times,
)
from xstars_lightning.datasets.archive.footprints import Footprints, to_geometries
from xstars_lightning.datasets.archive.lonlat import LONLAT, moved, to_lonlat
from xstars_lightning.datasets.archive.paths import absolute_paths, check_distinct
from xstars_lightning.datasets.archive.window_crs import utm_zones

__all__ = ["read_catalogue"]

Geometries = NDArray[np.object_]
Int = NDArray[np.int32]

CHUNK = 65_536  # rows; geometries of so many take about 100 MB
LARGE = 5.0  # degrees; longer edges are densified before they are projected


def read_catalogue(
    path: str | os.PathLike[str], asset: str | None = None, bands: int | None = None
) -> Footprints:
    """Read a GeoParquet catalogue that was made elsewhere; no raster is opened.

    Files are in a column ``path``, ``filepath``, ``filename``, ``location``, ``href`` or ``url``, relative
    ones seen from the catalogue's folder, or in the column ``assets`` of STAC, see
    :func:`choose_asset`. CRS and pixel grid are those of ``proj:code``, ``proj:epsg`` or
    ``proj:wkt2``, ``proj:transform`` and ``proj:shape``. Without them, the CRS is the UTM or polar
    stereographic zone of the scene and the grid unknown. Times are ``start_datetime`` and
    ``end_datetime``, or else ``datetime``; unknown without these. It takes about half a minute per
    million scenes, which :func:`write_index` saves the next time.

    Args:
        path: The file.
        asset: Which of STAC's assets to read; None: the one that fits.
        bands: Number of bands of the sensor, if it is known.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a column is missing, no asset fits, a file occurs twice or a geometry cannot be; the
            message names the scene.
    """
    source = os.fspath(path)
    table = pq.read_table(path)
    files = absolute_paths(file_column(table, source, asset, bands), path)
    check_distinct(files, source)
    wkb, own = geometry_column(table, source)
    given, crs = row_crs(table, source)
    parts = [
        _outlined(
            wkb[start : start + CHUNK], own, files[start : start + CHUNK], given[start : start + CHUNK], crs
        )
        for start in range(0, len(files), CHUNK)
    ]
    crs_of, outlines, bounds = zip(*parts, strict=True)
    transform, shape = row_grids(table, given >= 0)
    return Footprints(
        files,
        tuple(crs),
        np.concatenate(crs_of),
        transform,
        shape,
        pa.concat_arrays(outlines),
        np.concatenate(bounds),
        row_times(table, source),
        np.full((len(files), 2), -1, dtype=np.int64),
        source,
    )


def _outlined(
    wkb: pa.LargeBinaryArray, own: CRS, files: pa.LargeStringArray, given: Int, crs: list[CRS]
) -> tuple[Int, pa.LargeBinaryArray, NDArray[np.float64]]:
    """CRS, outline in it, and box in degrees of some rows; CRSs that are new are added to the list."""
    degrees = to_geometries(wkb)
    _refuse(~(shapely.area(degrees) > 0), "is null or has no area", files, degrees)
    if own != LONLAT:
        degrees = to_lonlat(degrees, np.zeros(len(degrees), dtype=np.int32), [own])[0]
    degrees = joined(degrees)
    bounds = boxes(degrees)
    off = ~np.isfinite(bounds).all(axis=1) | (np.abs(bounds[:, [1, 3]]) > 90).any(axis=1)
    _refuse(off, "is not in degrees of longitude and latitude", files, degrees)
    crs_of = np.where(given < 0, _zones(bounds, crs), given).astype(np.int32)
    outlines = np.empty(len(degrees), dtype=object)
    for number in np.unique(crs_of):
        rows = np.flatnonzero(crs_of == number)
        outlines[rows] = moved(shapely.segmentize(degrees[rows], LARGE), LONLAT, crs[number])
    _refuse(~np.isfinite(shapely.bounds(outlines)).all(axis=1), "is outside its CRS", files, degrees)
    # The seam at a pole, or at the antimeridian, where both sides are now in one place.
    broken = np.flatnonzero(~shapely.is_valid(outlines))
    outlines[broken] = shapely.buffer(shapely.make_valid(outlines[broken]), 0)
    return crs_of, pa.array(shapely.to_wkb(outlines), pa.large_binary()), bounds


def _zones(bounds: NDArray[np.float64], crs: list[CRS]) -> Int:
    """Position in the list of each box's zone: UTM, or polar stereographic beyond 84 N and 80 S."""
    zone = utm_zones(bounds)
    numbers = np.empty(len(zone), dtype=np.int32)
    for code in np.unique(zone):
        numbers[zone == code] = _position(CRS.from_epsg(int(code)), crs)
    return numbers


def _position(one: CRS, crs: list[CRS]) -> int:
    if one not in crs:
        crs.append(one)
    return crs.index(one)


def _refuse(wrong: NDArray[np.bool_], what: str, files: pa.LargeStringArray, outlines: Geometries) -> None:
    if not wrong.any():
        return
    row = int(wrong.argmax())
    shown = None if outlines[row] is None else outlines[row].wkt[:200]
    raise ValueError(
        f"The geometry of {files[row].as_py()} {what}: {shown}. Correct or remove the row, or make an index "
        "of the files by `xstars index FOLDER --sensor NAME --out INDEX.parquet`."
    )
