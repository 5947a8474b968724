"""Whether what was computed from indexes still fits them."""

import hashlib
from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from xstars_lightning.datasets.archive.footprints import Footprints

__all__ = ["fingerprint"]


def fingerprint(indexes: Mapping[str, Footprints], *options: object) -> str:
    """A hash of all that a join of indexes depends on.

    Args:
        indexes: The indexes, by sensor.
        options: Of the join, in an order of the caller's.
    """
    digest = hashlib.sha256(repr(options).encode())
    for key, index in indexes.items():
        digest.update(repr((key, [crs.to_wkt() for crs in index.crs])).encode())
        for strings in (index.path, index.outline):
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
