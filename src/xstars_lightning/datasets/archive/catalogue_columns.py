"""What the columns of a catalogue made elsewhere say, under the names that are in use."""

import json

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyproj import CRS
from pyproj.exceptions import CRSError

from xstars_lightning.datasets.archive.catalogue_assets import choose_asset
from xstars_lightning.datasets.archive.columns import categories, lists, times
from xstars_lightning.datasets.archive.lonlat import LONLAT

__all__ = ["file_column", "geometry_column", "row_crs", "row_grids", "row_times"]

Int = NDArray[np.int32]

PATHS = ("path", "filepath", "filename", "location", "href", "url")


def file_column(
    table: pa.Table, source: str, asset: str | None = None, bands: int | None = None
) -> pa.LargeStringArray:
    """File of each row.

    Args:
        table: The catalogue.
        source: Its name.
        asset: Which of STAC's assets to take, also where a column names files; None: see
            :func:`choose_asset`.
        bands: Number of bands of the sensor, if it is known.

    Raises:
        ValueError: If no column names files, a row has none, or which asset to take is not clear.
    """
    name = next((name for name in PATHS if name in table.column_names), None) if asset is None else None
    if name is None and "assets" not in table.column_names:
        raise ValueError(
            f"{source} names no files: it has neither a column {', '.join(PATHS)} nor STAC's `assets`, but "
            f"{', '.join(table.column_names)}. Add a column `path`."
        )
    if name is None:
        column = choose_asset(table["assets"].combine_chunks(), source, asset, bands)
    else:
        column = table[name].combine_chunks()
    if column.null_count:
        raise ValueError(f"Row {column.is_null().index(True)} of {source} names no file. Remove it.")
    return column.cast(pa.large_string())


def geometry_column(table: pa.Table, source: str) -> tuple[pa.LargeBinaryArray, CRS]:
    """The primary geometry as WKB, and its CRS.

    Raises:
        ValueError: If there is none, or it is not encoded as WKB.
    """
    geo = json.loads((table.schema.metadata or {}).get(b"geo", b"{}"))
    name = geo.get("primary_column", "geometry")
    about = geo.get("columns", {}).get(name, {})
    if name not in table.column_names or about.get("encoding", "WKB") != "WKB":
        raise ValueError(
            f"{source} has no column {name!r} of geometries as WKB; it has {', '.join(table.column_names)}. "
            "Write it as GeoParquet, for example with `GeoDataFrame.to_parquet`."
        )
    column = table[name].combine_chunks()
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    crs = about.get("crs", LONLAT)
    if crs is None:
        raise ValueError(
            f"{source} says that the CRS of its geometries is unknown. Set it, for example with "
            "`GeoDataFrame.set_crs`."
        )
    # As the format says: x is the longitude, whatever the CRS says of its axes.
    known = CRS.from_user_input(crs)
    return column.cast(pa.large_binary()), LONLAT if known.equals(LONLAT, ignore_axis_order=True) else known


def row_crs(table: pa.Table, source: str) -> tuple[Int, list[CRS]]:
    """Position of each row's CRS (N,), -1 where it is not given, and the CRSs.

    Raises:
        ValueError: If one is unknown.
    """
    crs_of, crs = np.full(len(table), -1, dtype=np.int32), list[CRS]()
    for name in ("proj:code", "proj:epsg", "proj:wkt2"):
        if name not in table.column_names or pa.types.is_null(table[name].type):
            continue
        number, texts = categories(table[name])
        crs_of = np.where((crs_of < 0) & (number >= 0), number + len(crs), crs_of).astype(np.int32)
        crs += [_known_crs(text, name, source) for text in texts]
    return crs_of, crs


def row_grids(table: pa.Table, placed: NDArray[np.bool_]) -> tuple[NDArray[np.float64], Int]:
    """Pixel transform (N, 6) and shape (N, 2) of each row; NaN and 0 where not given in full."""
    transform, shape = np.full((len(table), 6), np.nan), np.zeros((len(table), 2), dtype=np.int32)
    names = ("proj:transform", "proj:shape")
    if any(name not in table.column_names or pa.types.is_null(table[name].type) for name in names):
        return transform, shape
    (found, known), (sides, sized) = (
        lists(table[name], width) for name, width in zip(names, (6, 2), strict=True)
    )
    whole = placed & known & sized
    transform[whole], shape[whole] = found[whole], sides[whole]
    return transform, shape


def row_times(table: pa.Table, source: str) -> NDArray[np.datetime64]:
    """Begin and end of each row's acquisition, datetime64[us], UTC (N, 2); NaT where not given.

    Raises:
        ValueError: If a text is no time.
    """
    result = np.full((len(table), 2), np.datetime64("NaT", "us"))
    for side, name in enumerate(("start_datetime", "end_datetime")):
        for column in (name, "datetime"):
            if column not in table.column_names or pa.types.is_null(table[column].type):
                continue
            try:
                found = times(table[column])
            except ValueError as error:
                raise ValueError(
                    f"{source}, column {column!r}: {error}. Write times as 2023-06-12T10:36:29Z."
                ) from error
            result[:, side] = np.where(np.isnat(result[:, side]), found, result[:, side])
    return result


def _known_crs(text: str, column: str, source: str) -> CRS:
    try:
        return CRS.from_user_input(text)
    except CRSError as error:
        raise ValueError(
            f"{source}, column {column!r}: {text!r} is no CRS. Write it as EPSG:32631."
        ) from error
