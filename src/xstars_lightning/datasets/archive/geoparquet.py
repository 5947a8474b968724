"""Indexes of rasters, written to and read from GeoParquet files."""

import json
import os
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from xstars_lightning.datasets.archive.catalogue import read_catalogue
from xstars_lightning.datasets.archive.drafts import drafted
from xstars_lightning.datasets.archive.footprints import Footprints
from xstars_lightning.datasets.archive.layout import SCHEMA, from_columns, geo_metadata, to_table
from xstars_lightning.datasets.archive.paths import check_distinct

__all__ = ["read_about", "read_index", "write_index"]

PathLike = str | os.PathLike[str]

GROUP = 65_536  # rows written at once
ABOUT = b"xstars_lightning"  # key of our own metadata; a file without it was made elsewhere

# A dictionary of texts or outlines, no two of which are equal, only costs time.
_PACKED = {"compression": "zstd", "use_dictionary": ["proj:code", "proj:wkt2"]}


def write_index(footprints: Footprints, path: PathLike, about: Mapping[str, Any] | None = None) -> None:
    """Write footprints as a GeoParquet file, all of it or nothing.

    Column ``geometry`` has the outlines in longitude and latitude (OGC:CRS84), cut at the antimeridian;
    ``outline`` has them in each row's own CRS. Files below the folder of the index are noted relative to
    it: both can be moved together.

    Args:
        footprints: What to write.
        path: File; one that exists is replaced at the end.
        about: Plain values to keep with it, for :func:`read_about`.

    Raises:
        OSError: If the disk is full or cannot be written; an older index stays as it was.
        ValueError: If a file occurs twice.
    """
    check_distinct(footprints.path, footprints.source)
    final = os.path.abspath(path)
    metadata = {"geo": json.dumps(geo_metadata(footprints)), ABOUT: json.dumps(dict(about or {}))}
    schema = SCHEMA.with_metadata(metadata)
    # Row groups one after the other: geometries of a million rows would take a gigabyte.
    with drafted(final) as file, pq.ParquetWriter(file, schema, **_PACKED) as writer:
        for start in range(0, len(footprints), GROUP):
            writer.write_table(to_table(footprints.take(slice(start, start + GROUP)), os.path.dirname(final)))


def read_index(path: PathLike, asset: str | None = None, *, bands: int | None = None) -> Footprints:
    """Read an index: one of :func:`write_index`, or a catalogue that was made elsewhere.

    No raster is opened. For catalogues, see :func:`read_catalogue`.

    Args:
        path: The file.
        asset: Which asset of a STAC catalogue to read, where each scene has several.
        bands: Number of bands of the sensor, by which the asset is chosen if none is named.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no GeoParquet, what it says of a scene cannot be, or which asset to read is
            not clear.
    """
    metadata = _metadata(path)
    if ABOUT not in metadata:
        return read_catalogue(path, asset, bands)
    if asset is not None:
        raise ValueError(f"{os.fspath(path)} is an index, which has no assets: leave asset {asset!r} out.")
    with pq.ParquetFile(path, read_dictionary=["proj:code", "proj:wkt2"], memory_map=True) as file:
        # Column by column: each takes the memory that the one before no longer needs.
        return from_columns(lambda name: file.read([name])[name], path)


def read_about(path: PathLike) -> dict[str, Any] | None:
    """The values kept with an index; None for a catalogue that was made elsewhere.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no Parquet file.
    """
    metadata = _metadata(path)
    return json.loads(metadata[ABOUT]) if ABOUT in metadata else None


def _metadata(path: PathLike) -> dict[bytes, bytes]:
    try:
        return pq.read_schema(path).metadata or {}
    except pa.ArrowInvalid as error:
        raise ValueError(
            f"{os.fspath(path)} is no Parquet file, or a broken one: {error}. Remove it, and make it anew by "
            "`xstars index FOLDER --sensor NAME --out INDEX.parquet`."
        ) from error
