"""Footprints <-> the columns of a GeoParquet file [0], under the names that STAC [1] has for them.

References:
    [0] https://geoparquet.org/releases/v1.1.0/
    [1] https://github.com/stac-extensions/projection
"""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import shapely
from pyproj import CRS

from xstars_lightning.datasets.archive.columns import (
    categories,
    crs_columns,
    fields,
    lists,
    numbers,
    times,
    to_lists,
)
from xstars_lightning.datasets.archive.footprints import Footprints
from xstars_lightning.datasets.archive.lonlat import to_lonlat
from xstars_lightning.datasets.archive.paths import absolute_paths, relative_paths

__all__ = ["SCHEMA", "from_columns", "geo_metadata", "to_table"]

_TIME = pa.timestamp("us", "UTC")
_SIDES = ("xmin", "ymin", "xmax", "ymax")
SCHEMA = pa.schema(
    {
        "path": pa.large_string(),
        "geometry": pa.binary(),
        "bbox": pa.struct(dict.fromkeys(_SIDES, pa.float64())),
        "datetime": _TIME,
        "start_datetime": _TIME,
        "end_datetime": _TIME,
        "proj:code": pa.dictionary(pa.int32(), pa.string()),
        "proj:wkt2": pa.dictionary(pa.int32(), pa.string()),
        "proj:transform": pa.list_(pa.float64()),
        "proj:shape": pa.list_(pa.int32()),
        "outline": pa.large_binary(),
        "size": pa.int64(),
        "mtime_ns": pa.int64(),
    }
)


def geo_metadata(footprints: Footprints) -> dict[str, Any]:
    """What the format wants to be said of the column ``geometry``."""
    west, south, east, north = footprints.bounds.T
    column: dict[str, Any] = {"encoding": "WKB", "geometry_types": []}
    crossing = bool((west > east).any())
    if len(footprints):
        sides = (-180.0, 180.0) if crossing else (west.min(), east.max())
        column["bbox"] = [float(side) for side in (sides[0], south.min(), sides[1], north.max())]
    if not crossing:
        # Readers that compare boxes by their sides would never find a scene whose west is beyond its east.
        column["covering"] = {"bbox": {side: ["bbox", side] for side in _SIDES}}
    return {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}


def from_columns(column: Callable[[str], pa.ChunkedArray], path: str | os.PathLike[str]) -> Footprints:
    """Footprints of a file.

    Args:
        column: Reads a column.
        path: The file.
    """
    code_of, codes = categories(column("proj:code"))
    text_of, texts = categories(column("proj:wkt2"))
    shape, known = lists(column("proj:shape"), 2)
    return Footprints(
        absolute_paths(column("path").combine_chunks(), path),
        tuple(CRS(name) for name in (*codes, *texts)),
        np.where(code_of >= 0, code_of, len(codes) + text_of).astype(np.int32),
        lists(column("proj:transform"), 6)[0],
        np.where(known[:, None], shape, 0).astype(np.int32),
        column("outline").combine_chunks(),
        fields(column("bbox"), _SIDES),
        np.stack([times(column(name)) for name in ("start_datetime", "end_datetime")], axis=1),
        np.stack([numbers(column(name)) for name in ("size", "mtime_ns")], axis=1),
        os.fspath(path),
    )


def to_table(part: Footprints, folder: str) -> pa.Table:
    """Scenes as they are written to a file in a folder."""
    geometry = shapely.to_wkb(to_lonlat(part.outlines(slice(None)), part.crs_of, part.crs)[0])
    known = part.shape[:, 0] > 0
    begin, end = (pa.array(side).cast(_TIME) for side in part.time.T)
    columns = (
        relative_paths(part.path, folder),
        pa.array(geometry, pa.binary()),
        pa.StructArray.from_arrays([pa.array(side) for side in part.bounds.T], _SIDES),
        *(begin, begin, end),
        *crs_columns(part.crs, part.crs_of),
        *(to_lists(part.transform, known), to_lists(part.shape, known)),
        part.outline,
        *(pa.array(side, mask=side < 0) for side in part.stamp.T),
    )
    return pa.Table.from_arrays(list(columns), schema=SCHEMA)
