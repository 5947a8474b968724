"""Ground divided among the scenes that show it, one after the other."""

from collections.abc import Iterator

import numpy as np
import shapely
from numpy.typing import NDArray

from xstars_lightning.datasets.archive.sharing import EMPTY, common, share

__all__ = ["SLIVER", "divide"]

Int = NDArray[np.int64]
Bool = NDArray[np.bool_]
Geometries = NDArray[np.object_]
SLIVER = 1e-3  # of the smallest scene of a pair


def divide(
    ground: Geometries,
    spare: Bool,
    part: Int,
    outlines: Geometries,
    least: NDArray[np.float64],
    exclusive: bool,
) -> tuple[Int, Geometries, Geometries]:
    """Give each scene the ground that it shows.

    Args:
        ground: What there is to divide (N,).
        spare: Whether to say what nobody shows (N,).
        part: Position in ``ground`` of each scene (M,), ascending; who comes first comes first.
        outlines: Of the scenes (M,).
        least: Smallest area worth giving (M,); what is less is left to others.
        exclusive: Whether a scene gets only what those before it have left; else all that it shows.

    Returns:
        The scenes (F,) that got some, ascending; what each got (F,); and what is left of the ground (N,),
        right where ``spare``.
    """
    left = ground.copy()
    contested = spare[part]
    if exclusive:
        contested = contested | _contested(ground[part], outlines, part)
    free = np.flatnonzero(~contested)
    found, shared = [free], [share(ground[part[free]], outlines[free])]
    for scenes in _turns(part, np.flatnonzero(contested)):
        here, mine = part[scenes], outlines[scenes]
        got = share((left if exclusive else ground)[here], mine)
        found.append(scenes)
        shared.append(got)
        took = shapely.area(got) >= least[scenes]
        left[here[took]] = _without(left[here[took]], mine[took])
    scenes, pieces = np.concatenate(found), np.concatenate(shared)
    kept = shapely.area(pieces) >= np.maximum(least[scenes], np.finfo(float).tiny)
    scenes, pieces = scenes[kept], pieces[kept]
    order = np.argsort(scenes)
    return scenes[order], pieces[order], left


def _contested(ground: Geometries, outlines: Geometries, part: Int) -> Bool:
    """Which scenes (M,) may share some of their ground with another scene; tiles side by side do not."""
    low, high = common(shapely.bounds(ground), shapely.bounds(outlines))
    contested = np.zeros(len(part), dtype=bool)
    for lag in range(1, len(part)):
        first = np.flatnonzero(part[lag:] == part[:-lag])
        if not len(first):
            break
        second = first + lag
        meet = (np.maximum(low[first], low[second]) < np.minimum(high[first], high[second])).all(axis=1)
        contested[first[meet]] = contested[second[meet]] = True
    return contested


def _turns(part: Int, scenes: Int) -> Iterator[Int]:
    """The first scene of every part, then the second of every part that has one, and so on."""
    here = part[scenes]
    rank = np.arange(len(here)) - np.searchsorted(here, here)
    order = np.argsort(rank, kind="stable")
    return iter(np.split(scenes[order], np.cumsum(np.bincount(rank))[:-1])) if len(here) else iter(())


def _without(ground: Geometries, taken: Geometries) -> Geometries:
    """What is left of ground (N,) after some is taken."""
    left = np.full(len(ground), EMPTY, dtype=object)
    some = ~shapely.covers(taken, ground)  # dates of one place often cover each other
    left[some] = shapely.difference(ground[some], taken[some])
    return left
