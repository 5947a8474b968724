"""Where scenes of any kind lie: outlines in degrees of rasters, indexes and vector files."""

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import shapely
from geopandas import GeoDataFrame
from pyproj import CRS
from rich.progress import track
from shapely.geometry.base import BaseGeometry

from xstars_lightning.datasets.any_raster import outline_any
from xstars_lightning.datasets.archive.lonlat import LONLAT, to_lonlat
from xstars_lightning.datasets.files import EXTENSIONS, find_rasters

__all__ = ["read_outlines"]

NAMES = ("path", "filepath", "location", "href", "url", "name", "id")  # of columns that name a scene
CATALOGUES = (".parquet", ".geoparquet")
VECTORS = (".gpkg", ".geojson", ".json", ".shp", ".fgb", ".kml", ".gml")


def read_outlines(paths: Iterable[str]) -> GeoDataFrame:
    """Read the outlines of scenes.

    Args:
        paths: GeoParquet files (an index, a catalogue), vector files, and folders, globs or files of
            rasters, whose valid pixels are outlined.

    Returns:
        Columns ``name`` and ``geometry``, a row per file or feature, in longitude and latitude, cut at
        the antimeridian.

    Raises:
        FileNotFoundError: If a path does not exist or holds no raster.
        OSError: If a file cannot be read.
        ValueError: If a file says not where it lies, or holds points or lines.
    """
    frames = [_read(path) for path in paths]
    return gpd.GeoDataFrame(pd.concat(frames, ignore_index=True), geometry="geometry", crs=LONLAT)


def _read(path: str) -> GeoDataFrame:
    ending = Path(path).suffix.lower()
    if ending not in (*CATALOGUES, *VECTORS):
        return _rasters(find_rasters(path))
    if not os.path.exists(path):
        raise FileNotFoundError(f"No such file: {path!r} (seen from {os.getcwd()}).")
    frame = _parquet(path) if ending in CATALOGUES else gpd.read_file(path)
    if frame.crs is None:
        raise ValueError(f"{path} has no coordinate reference system: nothing says where it lies.")
    column = next((name for name in NAMES if name in frame), None)
    stem = Path(path).name
    names = [f"{stem}: feature {row}" for row in range(len(frame))] if column is None else frame[column]
    outlines = shapely.make_valid(frame.geometry.to_numpy())
    if (shapely.get_dimensions(outlines) < 2).any():
        raise ValueError(f"{path} holds points, lines or nothing where outlines are needed: give polygons.")
    return _located(list(names), outlines, [frame.crs] * len(frame))


def _parquet(path: str) -> GeoDataFrame:
    columns = pq.read_schema(path).names
    return gpd.read_parquet(path, columns=[*(name for name in NAMES if name in columns), "geometry"])


def _located(names: list[str], outlines: Iterable[BaseGeometry], crs: list[CRS]) -> GeoDataFrame:
    known = list(dict.fromkeys(crs))
    number = np.array([known.index(one) for one in crs], dtype=np.int32)
    degrees, _ = to_lonlat(np.array(list(outlines), dtype=object), number, known)
    return gpd.GeoDataFrame({"name": [str(name) for name in names]}, geometry=list(degrees), crs=LONLAT)


def _rasters(paths: list[str]) -> GeoDataFrame:
    with ThreadPoolExecutor() as pool:
        shown = track(pool.map(_outline, paths), "Outlining", len(paths), transient=True)
        outlines, crs = zip(*shown, strict=True)
    return _located(paths, outlines, list(crs))


def _outline(path: str) -> tuple[BaseGeometry, CRS]:
    """Outline of the valid pixels of a file, or of the first image of a product, in its own CRS."""
    file = next(_images(path), None) if os.path.isdir(path) else path
    if file is None:
        raise ValueError(
            f"The product {path} holds no image ({', '.join(EXTENSIONS)}). Download it again, or remove it."
        )
    outline, crs = outline_any(file)
    if crs is None:
        raise ValueError(f"{file} has no coordinate reference system: nothing says where it lies.")
    return outline, crs


def _images(product: str) -> Iterator[str]:
    """Images of a product, a folder whose bands all show the same ground."""
    files = sorted(Path(product).rglob("*"))
    return (str(file) for file in files if file.suffix.lower() in EXTENSIONS)
