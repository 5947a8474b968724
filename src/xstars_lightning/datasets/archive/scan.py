"""Folders of rasters -> footprints, by opening every file once."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely
from numpy.typing import NDArray
from pyproj import CRS

from xstars_lightning.datasets.archive.bands import BandOrder, BandOrders, band_order
from xstars_lightning.datasets.archive.batches import Batches, in_batches
from xstars_lightning.datasets.archive.broken import BrokenFiles
from xstars_lightning.datasets.archive.dates import DateRule, Period, time_of
from xstars_lightning.datasets.archive.footprints import Footprints, concatenate
from xstars_lightning.datasets.archive.ground import footprint_errors
from xstars_lightning.datasets.archive.lonlat import check_on_earth, to_lonlat
from xstars_lightning.datasets.archive.stamps import is_virtual, stamp_of
from xstars_lightning.datasets.files import find_rasters
from xstars_lightning.datasets.raster_file import inspect_raster
from xstars_lightning.sensors import Sensor

__all__ = ["scan"]

PathLike = str | os.PathLike[str]


@dataclass(frozen=True)
class _Scene:
    path: str
    crs: str
    transform: tuple[float, ...]
    shape: tuple[int, int]
    outline: bytes
    stamp: tuple[int, int]
    bands: BandOrder
    time: Period


def scan(
    paths: PathLike | Iterable[PathLike],
    sensor: Sensor,
    *,
    outlines: bool = True,
    dates: DateRule | None = None,
    workers: int | None = None,
    known: Footprints | None = None,
    skip_broken: bool = False,
) -> Footprints:
    """Look up where the rasters of a sensor lie.

    Files are opened by several threads, because most of the time is spent waiting for the disk.

    Args:
        paths: Folders, globs, files or names for GDAL, as :func:`find_rasters` takes them.
        sensor: Bands and resolution of all files, and nodata of last resort.
        outlines: Whether to outline the valid pixels, which reads each file at a low resolution; else
            the box of the image stands for them, and no more than the last block is read.
        dates: Where dates stand in the files' names; None: the first that looks like one, if any.
        workers: Files to open at once; None: 4 more than there are processors.
        known: An older scan. Files that still have the size and time noted there are not opened.
        skip_broken: Leave files out that cannot be used, and say which, instead of refusing them all at
            the end.

    Returns:
        A row per file, in the order of their names.

    Raises:
        FileNotFoundError: If a path does not exist or holds no raster.
        OSError: If a file cannot be read.
        ValueError: If a file has no CRS, other bands than the sensor or in another order, no valid pixel, a
            footprint that cannot be, or no date where the rule says.
    """
    files = sorted({file if is_virtual(file) else os.path.abspath(file) for file in find_rasters(paths)})
    source = "the scan of " + " to ".join(dict.fromkeys((files[0], files[-1])))
    with in_batches(len(files), workers) as batches:
        kept, new = _compared(files, known, batches)
        parts, orders, broken = [], BandOrders(sensor), BrokenFiles(skip_broken)
        if known is not None and len(kept):
            parts.append(_dated(known.take(kept), dates, broken))
            if new:
                orders.check(band_order(known.path[int(kept[0])].as_py(), sensor))
        look = partial(broken.attempt, lambda file: _look(file, sensor, outlines, dates))
        for found in batches(f"Indexing {sensor.name}", look, new):
            scenes = [scene for scene in found if scene is not None]
            if scenes := [scene for scene in scenes if broken.passes(orders.check, scene.path, scene.bands)]:
                parts.append(_placed(_finished(scenes, source), sensor, broken))
        broken.report(len(files))
    if not sum(map(len, parts)):
        raise ValueError(f"None of {len(files)} files can be used; the log says why.")
    merged = concatenate(parts, source)
    return merged.take(pc.sort_indices(merged.path).to_numpy())


def _compared(
    files: Sequence[str], known: Footprints | None, batches: Batches
) -> tuple[NDArray[np.int64], list[str]]:
    """Rows of known files that have not changed, and the files that have or are new."""
    if known is None:
        return np.empty(0, dtype=np.int64), list(files)
    row = pc.fill_null(pc.index_in(pa.array(files, pa.large_string()), known.path), -1).to_numpy()
    seen = np.flatnonzero(row >= 0)
    lists = batches("Looking for changes", stamp_of, [files[place] for place in seen.tolist()])
    stamps = np.array([stamp for stamps in lists for stamp in stamps], dtype=np.int64).reshape(-1, 2)
    # A grid that is not known, in an index made of a catalogue, is looked up now.
    same = seen[(stamps == known.stamp[row[seen]]).all(axis=1) & (known.shape[row[seen], 0] > 0)]
    return row[same], np.delete(np.array(files, dtype=object), same).tolist()


def _dated(known: Footprints, dates: DateRule | None, broken: BrokenFiles) -> Footprints:
    if dates is None:
        return known
    periods = [broken.attempt(dates, path) for path in known.path.to_pylist()]
    kept = [row for row, period in enumerate(periods) if period is not None]
    time = np.array([periods[row] for row in kept], dtype="datetime64[us]").reshape(-1, 2)
    return replace(known.take(np.array(kept, dtype=np.int64)), time=time)


def _look(path: str, sensor: Sensor, outlines: bool, dates: DateRule | None) -> _Scene:
    time = time_of(path, dates)
    # Before it is opened: a file that changes meanwhile is noticed at the next update.
    stamp = stamp_of(path)
    file = inspect_raster(path, sensor, outline=outlines)
    try:
        check_on_earth(file.crs)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return _Scene(
        path,
        file.crs.to_wkt(),
        tuple(file.transform)[:6],
        (file.height, file.width),
        shapely.to_wkb(file.footprint),
        stamp,
        band_order(path, sensor),
        time,
    )


def _finished(scenes: Sequence[_Scene], source: str) -> Footprints:
    names = list(dict.fromkeys(scene.crs for scene in scenes))
    crs = tuple(CRS(name) for name in names)
    crs_of = np.array([names.index(scene.crs) for scene in scenes], dtype=np.int32)
    paths, outline = [scene.path for scene in scenes], [scene.outline for scene in scenes]
    return Footprints(
        pa.array(paths, pa.large_string()),
        crs,
        crs_of,
        np.array([scene.transform for scene in scenes], dtype=np.float64),
        np.array([scene.shape for scene in scenes], dtype=np.int32),
        pa.array(outline, pa.large_binary()),
        to_lonlat(shapely.from_wkb(np.array(outline, dtype=object)), crs_of, crs)[1],
        np.array([scene.time for scene in scenes], dtype="datetime64[us]"),
        np.array([scene.stamp for scene in scenes], dtype=np.int64),
        source,
    )


def _placed(found: Footprints, sensor: Sensor, broken: BrokenFiles) -> Footprints:
    errors = footprint_errors(found, sensor)
    broken.errors |= {found.path[row].as_py(): error for row, error in errors.items()}
    return found.take(np.setdiff1d(np.arange(len(found)), list(errors))) if errors else found
