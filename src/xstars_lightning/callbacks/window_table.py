"""Embeddings of windows -> GeoParquet, a row per window, written as they come."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely
from numpy.typing import NDArray

from xstars_lightning.callbacks.dense_embedding import SETTINGS, Precision

__all__ = ["WindowTable"]

ROW_GROUP = 1024  # windows held in memory

Footprints = Callable[[Sequence[int], Sequence[int]], NDArray[np.object_]]


class WindowTable:
    """GeoParquet 1.1 [0] with the columns ``geometry`` (OGC:CRS84), ``datetime`` (UTC), ``file``, ``row``
    and ``col`` (pixel at which the window begins), ``valid`` (its share of valid pixels) and ``embedding``
    (list of fixed size).

    Args:
        path: File to write; what is there is overwritten.
        file: Path of the scene.
        time: Begin of its acquisition, UTC; NaT where unknown.
        footprints: Rows and columns of windows to their polygons in OGC:CRS84.
        width: Features D.
        settings: Written into the file; plain values.
        precision: Of the embeddings.

    References:
        [0] https://geoparquet.org/releases/v1.1.0/
    """  # noqa: D205 - the list of columns is one sentence

    def __init__(
        self,
        path: Path,
        file: str,
        time: np.datetime64,
        footprints: Footprints,
        width: int,
        settings: Mapping[str, Any],
        precision: Precision = "float32",
    ) -> None:
        self._file, self._time, self._footprints = file, time, footprints
        value = pa.float32() if precision == "float32" else pa.float16()
        self._dtype = np.dtype(precision)
        fields = {
            "geometry": pa.binary(),
            "datetime": pa.timestamp("us", tz="UTC"),
            "file": pa.string(),
            "row": pa.int32(),
            "col": pa.int32(),
            "valid": pa.float32(),
            "embedding": pa.list_(value, width),
        }
        metadata = {"geo": json.dumps(_GEO), SETTINGS: json.dumps(settings)}
        self._schema = pa.schema(list(fields.items()), metadata)
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")
        self._windows: list[tuple[int, int, float, NDArray[np.float32]]] = []

    def add(self, row: int, col: int, valid: float, embedding: NDArray[np.float32]) -> None:
        """Add a window: the pixel at which it begins, its share of valid pixels, its embedding (D,)."""
        self._windows.append((row, col, valid, embedding))
        if len(self._windows) == ROW_GROUP:
            self._write()

    def close(self, complete: bool = True) -> None:
        """Write what is left, unless the file is to be thrown away."""
        if complete and self._windows:
            self._write()
        self._writer.close()

    def _write(self) -> None:
        rows, cols, valid, embeddings = zip(*self._windows, strict=True)
        values = pa.array(np.concatenate(embeddings).astype(self._dtype))
        columns = [
            shapely.to_wkb(self._footprints(rows, cols)),
            np.full(len(rows), self._time, dtype="datetime64[us]"),
            [self._file] * len(rows),
            rows,
            cols,
            valid,
            pa.FixedSizeListArray.from_arrays(values, len(embeddings[0])),
        ]
        arrays = [
            pa.array(column, type=field.type) for column, field in zip(columns, self._schema, strict=True)
        ]
        self._writer.write_table(pa.table(arrays, schema=self._schema))
        self._windows = []


# Without a "crs", coordinates are longitude and latitude of OGC:CRS84.
_GEO = {
    "version": "1.1.0",
    "primary_column": "geometry",
    "columns": {"geometry": {"encoding": "WKB", "geometry_types": ["Polygon", "MultiPolygon"]}},
}
