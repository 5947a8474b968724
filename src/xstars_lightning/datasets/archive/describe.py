"""What an index holds, and what a new one changes."""

from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc
from rich.table import Table

from xstars_lightning.datasets.archive.footprints import Footprints
from xstars_lightning.datasets.archive.ground import area_km2, pixel_metres

__all__ = ["Changes", "compare", "describe"]

LISTED = 4  # CRSs


@dataclass(frozen=True)
class Changes:
    """Numbers of scenes.

    Args:
        new: Only in the new index.
        changed: Whose file has another size or time.
        gone: Only in the old index.
        kept: The same in both.
    """

    new: int
    changed: int
    gone: int
    kept: int

    def __str__(self) -> str:
        return f"{self.new:,} new, {self.changed:,} changed, {self.gone:,} gone, {self.kept:,} kept"


def compare(old: Footprints | None, new: Footprints) -> Changes:
    """Count what changes from one index to the next."""
    if old is None:
        return Changes(len(new), 0, 0, 0)
    row = pc.fill_null(pc.index_in(new.path, old.path), -1).to_numpy()
    seen = row >= 0
    kept = int((new.stamp[seen] == old.stamp[row[seen]]).all(axis=1).sum())
    both = int(seen.sum())
    return Changes(len(new) - both, both - kept, len(old) - both, kept)


def describe(footprints: Footprints, sensor: str | None = None) -> Table:
    """A small table: scenes, ground, place, coordinate reference systems, pixels and dates.

    Args:
        footprints: An index.
        sensor: Name to show, where it is known.
    """
    table = Table(title=footprints.source, show_header=False, title_justify="left")
    table.add_row("sensor", sensor or "unknown")
    table.add_row("scenes", f"{len(footprints):,}")
    if len(footprints):
        table.add_row("ground", f"{area_km2(footprints).sum():,.1f} km2, overlaps counted as often")
        table.add_row("place", _place(footprints))
        table.add_row("CRS", _systems(footprints))
        table.add_row("pixels", _pixels(footprints))
        table.add_row("dates", _dates(footprints))
    return table


def _place(footprints: Footprints) -> str:
    west, south, east, north = footprints.bounds.T
    across = int((west > east).sum())
    sides = (-180.0, 180.0) if across else (west.min(), east.max())
    place = f"longitude {sides[0]:.4f} to {sides[1]:.4f}, latitude {south.min():.4f} to {north.max():.4f}"
    return f"{place}; {across:,} across the antimeridian" if across else place


def _systems(footprints: Footprints) -> str:
    counts = np.bincount(footprints.crs_of, minlength=len(footprints.crs))
    order = [int(number) for number in np.argsort(-counts, kind="stable") if counts[number]]
    names = [f"{_name(footprints, number)} ({counts[number]:,})" for number in order[:LISTED]]
    more = [f"{len(order) - LISTED} more"] if len(order) > LISTED else []
    return ", ".join(names + more)


def _name(footprints: Footprints, number: int) -> str:
    authority = footprints.crs[number].to_authority()
    return footprints.crs[number].name if authority is None else ":".join(authority)


def _pixels(footprints: Footprints) -> str:
    sizes = pixel_metres(footprints)
    known = sizes[np.isfinite(sizes)]
    if not len(known):
        return "unknown until a file is opened"
    low, middle, high = np.quantile(known, [0, 0.5, 1])
    text = (
        f"{middle:.4g} m"
        if high < 1.01 * low
        else f"{low:.4g} to {high:.4g} m, half of them below {middle:.4g} m"
    )
    return text if len(known) == len(sizes) else f"{text}; {len(sizes) - len(known):,} unknown"


def _dates(footprints: Footprints) -> str:
    begin = footprints.time[:, 0]
    unknown = int(np.isnat(begin).sum())
    if unknown == len(begin):
        return "unknown"
    days = begin[~np.isnat(begin)].astype("datetime64[D]")
    text = f"{days.min()} to {days.max()}"
    return f"{text}; {unknown:,} unknown" if unknown else text
