"""Whether what was computed from indexes still fits them."""

import hashlib
import os
from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from xstars_lightning.datasets.archive.footprints import Footprints
from xstars_lightning.datasets.archive.paths import relative_paths
from xstars_lightning.datasets.archive.times import Match

__all__ = ["fingerprint"]


def fingerprint(
    indexes: Mapping[str, Footprints],
    finest: str | None = None,
    max_days: float | None = None,
    match: Match = "nearest",
    min_sensors: int | None = None,
) -> str:
    """A hash of all that a join of indexes depends on.

    Files below the folder of their index count relative to it: an archive that is moved with its indexes
    keeps its hash. So do options that are written in another way (10 and 10.0).

    Args:
        indexes: The indexes, by sensor.
        finest: Of :func:`join`, as all that follow.
        max_days: See there.
        match: See there.
        min_sensors: See there.
    """
    days = None if max_days is None else float(max_days)
    options = (finest, days, match, int(min_sensors or len(indexes)))
    digest = hashlib.sha256(repr(options).encode())
    for key, index in indexes.items():
        digest.update(repr((key, [crs.to_wkt() for crs in index.crs])).encode())
        folder = os.path.dirname(os.path.abspath(index.source))
        for strings in (relative_paths(index.path, folder), index.outline):
            _update(digest, strings)
        for array in (index.crs_of, index.transform, index.bounds, index.time, index.stamp):
            digest.update(np.ascontiguousarray(array).view(np.uint8))
    return digest.hexdigest()


def _update(digest: "hashlib._Hash", strings: pa.LargeStringArray | pa.LargeBinaryArray) -> None:
    _, offsets, values = strings.buffers()
    ends = np.frombuffer(offsets, dtype=np.int64)[strings.offset : strings.offset + len(strings) + 1]
    digest.update((ends - ends[0]).data)
    if values is not None:
        digest.update(values.slice(int(ends[0]), int(ends[-1] - ends[0])))
