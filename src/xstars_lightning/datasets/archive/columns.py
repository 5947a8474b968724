"""Columns of Parquet files <-> plain arrays, without an object per row."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyproj import CRS

__all__ = ["categories", "crs_columns", "fields", "lists", "numbers", "times", "to_lists"]

Float = NDArray[np.float64]


def numbers(column: pa.ChunkedArray, missing: int = -1) -> NDArray[np.int64]:
    """Whole numbers (N,)."""
    return column.cast(pa.int64()).fill_null(missing).combine_chunks().to_numpy()


def fields(column: pa.ChunkedArray, names: Sequence[str]) -> Float:
    """The numbers of a structure under their names (N, names)."""
    result = np.empty((len(column), len(names)))
    for number, name in enumerate(names):
        result[:, number] = pc.struct_field(column, name).to_numpy()
    return result


def lists(column: pa.ChunkedArray, width: int) -> tuple[Float, NDArray[np.bool_]]:
    """The first numbers of each list (N, width), NaN where there are fewer; and which have them all (N,)."""
    values = column.combine_chunks()
    if pa.types.is_fixed_size_list(values.type):
        values = values.cast(pa.list_(values.type.value_type))
    starts = values.offsets.to_numpy()
    flat = values.values.to_numpy(zero_copy_only=False)
    enough = values.is_valid().to_numpy(zero_copy_only=False) & (np.diff(starts) >= width)
    if enough.all() and (np.diff(starts) == width).all():
        result = flat[starts[0] : starts[-1]].reshape(-1, width).astype(np.float64, copy=False)
    else:
        result = np.full((len(values), width), np.nan)
        result[enough] = flat[starts[:-1][enough, None] + np.arange(width)]
    return result, enough & np.isfinite(result).all(axis=1)


def to_lists(values: NDArray[np.generic], known: NDArray[np.bool_]) -> pa.ListArray:
    """Lists of the rows (N, width) that are known; null for the others."""
    starts = np.concatenate([[0], np.cumsum(known) * values.shape[1]]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(starts), pa.array(values[known].ravel()), mask=pa.array(~known))


def times(column: pa.ChunkedArray) -> NDArray[np.datetime64]:
    """Times as datetime64[us], UTC (N,); NaT where null. Texts are read as ISO 8601.

    Raises:
        ValueError: If a text is no time; the message gives it.
    """
    if pa.types.is_timestamp(column.type):
        return column.cast(pa.timestamp("us")).combine_chunks().to_numpy(zero_copy_only=False)
    stamps = pd.to_datetime(column.to_pandas(), utc=True, format="ISO8601")
    return stamps.dt.tz_convert(None).to_numpy("datetime64[us]")


def categories(column: pa.ChunkedArray) -> tuple[NDArray[np.int32], list[str]]:
    """Number of each text (N,), -1 where null, and the texts."""
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    whole = column.unify_dictionaries().combine_chunks()
    return pc.fill_null(whole.indices, -1).to_numpy().astype(np.int32), whole.dictionary.to_pylist()


def crs_columns(crs: Sequence[CRS], crs_of: NDArray[np.int32]) -> tuple[pa.Array, pa.Array]:
    """Each row's CRS by its code, such as EPSG:32631, or else in full as WKT2."""
    codes = [_code(one) for one in crs]
    texts = [None if code else one.to_wkt() for code, one in zip(codes, crs, strict=True)]
    return _chosen(codes, crs_of), _chosen(texts, crs_of)


def _chosen(names: Sequence[str | None], number: NDArray[np.int32]) -> pa.DictionaryArray:
    given = [name for name in names if name is not None]
    place = np.array([-1 if name is None else given.index(name) for name in names], dtype=np.int32)[number]
    return pa.DictionaryArray.from_arrays(pa.array(place, mask=place < 0), pa.array(given, pa.string()))


def _code(crs: CRS) -> str | None:
    """The code that stands for a CRS, if it gives back the same."""
    authority = crs.to_authority()
    code = None if authority is None else ":".join(authority)
    return code if code is not None and CRS(code) == crs else None
