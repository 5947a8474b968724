"""Indexes of several sensors -> scenes that share ground and lie near to each other in time."""

import logging
import math
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray
from rich.progress import track

from xstars_lightning.datasets.archive.candidates import Boxes
from xstars_lightning.datasets.archive.fingerprint import fingerprint
from xstars_lightning.datasets.archive.footprints import Footprints
from xstars_lightning.datasets.archive.matching import Partner, Rule, Shares, extend
from xstars_lightning.datasets.archive.pairs import Pairs
from xstars_lightning.datasets.archive.refusals import check_join, nothing_joined
from xstars_lightning.datasets.archive.sharing import Outlines
from xstars_lightning.datasets.archive.times import Match
from xstars_lightning.datasets.archive.window_crs import pixel_sizes, window_crs

__all__ = ["finest_sensor", "join"]

logger = logging.getLogger(__name__)
CHUNK = 5_000  # scenes; their geometries are Python objects while they are joined
THREADS = min(os.cpu_count() or 1, 8)  # most of the time is spent outside of the interpreter's lock


def join(
    indexes: Mapping[str, Footprints],
    finest: str | None = None,
    max_days: float | None = None,
    match: Match = "nearest",
    min_sensors: int | None = None,
) -> Pairs:
    """Join sensors by space and time.

    Every pair has a scene of the finest sensor; its ground is what its scenes share, exactly, in the CRS of
    that scene (in its UTM zone where that is not in metres of the ground). Shared ground of less than a
    thousandth of the smallest of the scenes is dropped. The number of pairs, their area and the differences
    in time are logged.

    Args:
        indexes: Two or more indexes; their keys name the sensors.
        finest: The sensor whose scenes others are joined to; by default that of the smallest pixels, which
            :func:`finest_sensor` finds also where an index knows no pixels.
        max_days: Largest difference in days between acquisitions (of the season, if that is what is
            matched), each compared with that of the finest sensor's scene; None: any, also unknown.
        match: Where several scenes of a sensor show the same ground of one of the finest: ``nearest``:
            it goes to that of the nearest date, and only what this does not show to the next one;
            ``season``: the same by the distance of the days of the year, whatever the year, and then by
            date; ``all``: to each of them, in pairs of their own.
        min_sensors: Fewest sensors of a pair; None: all. With fewer, a scene of the finest sensor may lack
            any of the others; ground that it does not see is in no pair.

    Raises:
        ValueError: If fewer than two sensors are given, a date that is needed is unknown, sensors share no
            ground, or nothing lies within ``max_days``.
    """
    needed = check_join(indexes, finest, max_days, match, min_sensors)
    inputs = fingerprint(indexes, finest, max_days, match, min_sensors)
    rule, finest = Rule(max_days, match, needed), finest or finest_sensor(indexes)
    scenes = indexes[finest]
    crs, target = window_crs(scenes)
    outlines = Outlines(scenes, crs)
    names = [finest, *(name for name in indexes if name != finest)]
    others = [indexes[name] for name in names[1:]]
    partners = [Partner(other, Boxes(other.bounds), Outlines(other, crs)) for other in others]

    def joined(rows: NDArray[np.int64]) -> tuple[dict[str, Any], list[float]]:
        shares = Shares.of(rows, target[rows], outlines(rows, target[rows]))
        least = []
        for number, partner in enumerate(partners, 1):
            shares, nearest = extend(shares, scenes, partner, rule, len(partners) - number)
            least.append(nearest)
        return _plain(shares), least

    # Neighbours together: their partners are decoded, and warped, once.
    order = np.lexsort((scenes.bounds[:, 1], target))
    chunks = np.array_split(order, math.ceil(len(order) / CHUNK))
    with ThreadPoolExecutor(THREADS) as pool:
        results = pool.map(joined, chunks)
        shown = track(results, "Joining", len(chunks), transient=True, disable=len(chunks) < 5)
        parts, least = zip(*shown, strict=True)
    columns = _concatenated(parts)
    columns["rows"] = columns["rows"][:, [names.index(name) for name in indexes]]
    pairs = Pairs(sensors=tuple(indexes), crs=crs, inputs=inputs, **columns)
    if not len(pairs):
        raise nothing_joined(indexes, max_days, dict(zip(names[1:], np.min(least, axis=0), strict=True)))
    logger.info("Joined %d pairs with %.6g km2. %s", len(pairs), pairs.km2, pairs.describe_times())
    return pairs


def finest_sensor(indexes: Mapping[str, Footprints], resolutions: Mapping[str, float] | None = None) -> str:
    """The sensor of the smallest pixels, by the median of its scenes.

    Args:
        indexes: The index of each sensor.
        resolutions: Nominal pixel sizes in metres by the same keys, for indexes that know the grid of none
            of their scenes; None: such an index is refused.

    Raises:
        ValueError: If an index knows the grid of none of its scenes, and there is no nominal size.
    """
    sizes = {name: pixel_sizes(index) for name, index in indexes.items()}
    nominal = resolutions or {}
    known = {name: float(np.nanmedian(size)) for name, size in sizes.items() if not np.isnan(size).all()}
    if unknown := [name for name in indexes if name not in known and name not in nominal]:
        raise ValueError(
            f"{indexes[unknown[0]].source} says nothing of the pixels of {unknown[0]}: name the finest of "
            f"the sensors {', '.join(indexes)} (finest)."
        )
    return min(indexes, key=lambda name: known[name] if name in known else nominal[name])


def _plain(shares: Shares) -> dict[str, Any]:
    """Columns of pairs, without their geometries."""
    return {
        "rows": shares.rows,
        "crs_of": shares.target,
        "outline": pa.array(shapely.to_wkb(shares.ground), pa.large_binary()),
        "bounds": shapely.bounds(shares.ground),
        "area": shapely.area(shares.ground),
        "days": np.where((shares.rows >= 0).sum(axis=1) > 1, shares.days, np.nan),
    }


def _concatenated(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Columns one after the other; each is taken from the parts at once, so as not to hold all twice."""
    columns = {}
    for name in list(parts[0]):
        column = [part.pop(name) for part in parts]
        columns[name] = pa.concat_arrays(column) if name == "outline" else np.concatenate(column)
    return columns
