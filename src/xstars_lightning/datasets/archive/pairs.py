"""Scenes of several sensors that share ground, as plain arrays."""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import geopandas as gpd
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely
from geopandas import GeoDataFrame
from numpy.typing import NDArray
from pyproj import CRS

from xstars_lightning.datasets.archive.drafts import drafted
from xstars_lightning.datasets.archive.footprints import to_geometries
from xstars_lightning.datasets.archive.lonlat import to_lonlat
from xstars_lightning.datasets.archive.times import describe_days

__all__ = ["PairWindow", "Pairs"]

Float = NDArray[np.float64]
GEO = {
    "version": "1.1.0",
    "primary_column": "geometry",
    # No CRS means OGC:CRS84.
    "columns": {"geometry": {"encoding": "WKB", "geometry_types": []}},
}
BATCH = 50_000


class PairWindow(NamedTuple):
    """A window of a pair, in the pair's CRS."""

    pair: int
    xmin: float
    ymin: float
    xmax: float
    ymax: float


@dataclass(frozen=True)
class Pairs:
    """Scenes, one of each of several sensors, and the ground that they share.

    Windows of a pair lie in a CRS of metres, that of the scene of the finest sensor if it is one. A
    million pairs take about 200 MB, without a Python object per row.

    Args:
        sensors: The sensors' keys (S).
        rows: Row in the index of each sensor (P, S); -1 where it has no scene.
        crs: The coordinate reference systems of windows that occur.
        crs_of: Position in ``crs`` (P,).
        outline: Shared ground as WKB in the pair's CRS (P,).
        bounds: Box around it, xmin, ymin, xmax, ymax (P, 4).
        area: Its area in square metres (P,).
        days: Largest difference in days between the acquisition of the finest sensor's scene and of
            another one (P,); NaN where unknown, or where there is no other.
        inputs: What it was made of, by :func:`fingerprint`.
    """

    sensors: tuple[str, ...]
    rows: NDArray[np.int32]
    crs: tuple[CRS, ...]
    crs_of: NDArray[np.int32]
    outline: pa.LargeBinaryArray
    bounds: Float
    area: Float
    days: Float
    inputs: str

    def __len__(self) -> int:
        """Number of pairs."""
        return len(self.rows)

    @property
    def km2(self) -> float:
        """Sum of the shared grounds in square kilometres; ground of several pairs counts for each."""
        return float(self.area.sum() / 1e6)

    def outlines(self, pairs: NDArray[np.int64] | slice) -> NDArray[np.object_]:
        """Shared ground of some pairs, each in its own CRS."""
        return to_geometries(self.outline.take(pa.array(np.arange(len(self))[pairs])))

    def ground(self) -> GeoDataFrame:
        """Shared ground in EPSG:4326, cut at the antimeridian, with the columns ``km2`` and ``days``."""
        degrees = self._in_degrees(slice(None))
        return gpd.GeoDataFrame(
            {"km2": self.area / 1e6, "days": self.days}, geometry=degrees, crs="EPSG:4326"
        )

    def describe_times(self) -> str:
        """How far apart in time the scenes of pairs are: least, quartiles, greatest, number of unknown."""
        return describe_days(self.days)

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write a GeoParquet file, all of it or nothing.

        Raises:
            OSError: If the disk is full or cannot be written.
        """
        about = {"sensors": self.sensors, "crs": [crs.to_wkt() for crs in self.crs], "inputs": self.inputs}
        metadata = {"geo": json.dumps(GEO), "xstars:pairs": json.dumps(about)}
        schema = self._table(slice(0, 0)).schema.with_metadata(metadata)
        with drafted(path) as file, pq.ParquetWriter(file, schema, compression="zstd") as writer:
            for start in range(0, len(self), BATCH):
                writer.write_table(self._table(slice(start, start + BATCH)).cast(schema))

    @classmethod
    def read(cls, path: str | os.PathLike[str], inputs: str | None = None) -> "Pairs":
        """Read what :meth:`write` wrote.

        Args:
            path: The file.
            inputs: What it must have been made of, by :func:`fingerprint`; None: anything.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it is no such file or a broken one, or was made of something else.
        """
        try:
            columns = [name for name in pq.read_schema(path).names if name != "geometry"]
            table = pq.read_table(path, columns=columns).combine_chunks()
        except pa.ArrowInvalid as error:
            raise ValueError(
                f"{os.fspath(path)} is no Parquet file, or a broken one: {error}. Remove it, and it is made "
                "anew; or name another file (pairs)."
            ) from error
        if b"xstars:pairs" not in (table.schema.metadata or {}):
            raise ValueError(f"{path} holds no pairs. Name a file that was written by joining indexes.")
        about = json.loads(table.schema.metadata[b"xstars:pairs"])
        if inputs not in (None, about["inputs"]):
            raise ValueError(
                f"{path} was made of other indexes, or with other options, than those given. Remove it, and "
                "it is made anew."
            )
        column = {name: table[name].to_numpy() for name in columns if name != "outline"}
        return cls(
            tuple(about["sensors"]),
            _stacked(column[f"row_{key}"] for key in about["sensors"]),
            tuple(map(CRS, about["crs"])),
            column["crs"],
            pa.concat_arrays(table["outline"].chunks),
            _stacked(column[name] for name in PairWindow._fields[1:]),
            column["area"],
            column["days"],
            about["inputs"],
        )

    def _table(self, pairs: slice) -> pa.Table:
        names = [f"row_{key}" for key in self.sensors]
        columns: dict[str, Any] = dict(zip(names, self.rows[pairs].T, strict=True))
        columns |= dict(zip(PairWindow._fields[1:], self.bounds[pairs].T, strict=True))
        columns |= {"crs": self.crs_of[pairs], "area": self.area[pairs], "days": self.days[pairs]}
        wkb = pa.array(shapely.to_wkb(self._in_degrees(pairs)), pa.large_binary())
        return pa.table(columns | {"outline": self.outline[pairs], "geometry": wkb})

    def _in_degrees(self, pairs: slice) -> NDArray[np.object_]:
        return to_lonlat(self.outlines(pairs), self.crs_of[pairs], self.crs)[0]


def _stacked(columns: Iterable[NDArray[Any]]) -> NDArray[Any]:
    return np.ascontiguousarray(np.stack(list(columns), axis=1))
