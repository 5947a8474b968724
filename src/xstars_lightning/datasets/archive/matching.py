"""Scenes of the finest sensor, and the ground that they share with those of one sensor after the other."""

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from xstars_lightning.datasets.archive.candidates import Boxes
from xstars_lightning.datasets.archive.dividing import SLIVER, divide
from xstars_lightning.datasets.archive.footprints import Footprints
from xstars_lightning.datasets.archive.sharing import Outlines
from xstars_lightning.datasets.archive.times import Match, days_apart, season_apart

__all__ = ["Partner", "Rule", "Shares", "extend"]

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Geometries = NDArray[np.object_]


@dataclass(frozen=True)
class Rule:
    """Which scenes make a pair; see :func:`join`."""

    max_days: float | None
    match: Match
    min_sensors: int


@dataclass(frozen=True)
class Partner:
    """A sensor whose scenes are joined to those of the finest one."""

    index: Footprints
    boxes: Boxes
    outlines: Outlines


@dataclass(frozen=True)
class Shares:
    """Scenes that share ground, as far as sensors have been joined.

    Args:
        rows: Scene of each sensor joined (N, S), the finest first; -1 where there is none.
        target: Position of the CRS of the ground (N,).
        ground: What the scenes share (N,).
        smallest: Area of the smallest of the scenes (N,).
        days: Largest difference to the acquisition of the finest sensor's scene (N,).
    """

    rows: NDArray[np.int32]
    target: NDArray[np.int32]
    ground: Geometries
    smallest: Float
    days: Float

    @classmethod
    def of(cls, rows: Int, target: NDArray[np.int32], outlines: Geometries) -> "Shares":
        """Scenes (N,) of the finest sensor, before another one is joined."""
        scenes = rows.astype(np.int32)[:, None]
        return cls(scenes, target, outlines, shapely.area(outlines), np.zeros(len(rows)))

    def take(self, which: Int) -> "Shares":
        """Some of them, in the order given."""
        return Shares(*(getattr(self, name)[which] for name in self.__dataclass_fields__))


def extend(
    shares: Shares, finest: Footprints, partner: Partner, rule: Rule, to_come: int
) -> tuple[Shares, float]:
    """Join one more sensor.

    Args:
        shares: What the sensors before share.
        finest: The finest sensor.
        partner: The sensor to join.
        rule: Which scenes make a pair.
        to_come: Sensors that are joined later.

    Returns:
        What all of them share, and the least difference in days (or of the season) among scenes whose
        boxes touch: infinity if none do, or no date is known.
    """
    part, row, days, least = _candidates(shares, finest, partner, rule)
    outlines = partner.outlines(row, shares.target[part])
    smallest = np.minimum(shares.smallest[part], shapely.area(outlines))
    spare = (shares.rows >= 0).sum(axis=1) + to_come >= rule.min_sensors
    found, ground, left = divide(shares.ground, spare, part, outlines, SLIVER * smallest, rule.match != "all")
    rest = np.flatnonzero(spare & (shapely.area(left) >= SLIVER * shares.smallest))

    before = np.concatenate([part[found], rest])
    none = np.full(len(rest), -1)
    rows = np.column_stack([shares.rows[before], np.concatenate([row[found], none])]).astype(np.int32)
    extended = Shares(
        rows,
        shares.target[before],
        np.concatenate([ground, left[rest]]),
        np.concatenate([smallest[found], shares.smallest[rest]]),
        np.maximum(shares.days[before], np.concatenate([days[found], np.zeros(len(rest))])),
    )
    return extended.take(np.argsort(before, kind="stable")), least


def _candidates(
    shares: Shares, finest: Footprints, partner: Partner, rule: Rule
) -> tuple[Int, Int, Float, float]:
    """Scenes that may share ground with what is shared before, for each the nearest in time first.

    Returns:
        Position in ``shares``, row of the partner, days apart, and the least difference seen.
    """
    scenes, back = np.unique(shares.rows[:, 0], return_inverse=True)
    mine, theirs = partner.boxes.touching(finest.bounds[scenes])
    times = finest.time[scenes[mine]], partner.index.time[theirs]
    days = days_apart(*times)
    apart = season_apart(*times) if rule.match == "season" else days
    least = float(np.fmin.reduce(apart, initial=np.inf))
    order = np.lexsort((theirs, days, apart, mine))
    if rule.max_days is not None:
        order = order[apart[order] <= rule.max_days]
    mine, theirs, days = mine[order], theirs[order], days[order]
    counts = np.bincount(mine, minlength=len(scenes))
    many = counts[back]
    part = np.repeat(np.arange(len(back)), many)
    begin = (np.cumsum(counts) - counts)[back] - (np.cumsum(many) - many)
    which = np.arange(len(part)) + begin[part]
    return part, theirs[which], days[which], least
