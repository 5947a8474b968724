"""Why indexes cannot be joined, said before and after the attempt."""

from collections.abc import Mapping, Sequence

import numpy as np

from xstars_lightning.datasets.archive.footprints import Footprints
from xstars_lightning.datasets.archive.times import check_dates
from xstars_lightning.datasets.cross_sensor import sensors_needed

__all__ = ["check_join", "nothing_joined"]


def check_join(
    indexes: Mapping[str, Footprints],
    finest: str | None,
    max_days: float | None,
    match: str,
    min_sensors: int | None,
) -> int:
    """Refuse a join that cannot succeed.

    Returns:
        Fewest sensors of a pair.

    Raises:
        ValueError: If fewer than two sensors are given, the finest is none of them, one has no scene, an
            option is out of its domain, or a date that is needed is unknown.
    """
    if len(indexes) < 2:
        raise ValueError(f"A join takes two or more sensors, got {list(indexes) or 'none'}.")
    if finest not in (None, *indexes):
        raise ValueError(f"finest is {finest!r}, which is none of the sensors {', '.join(indexes)}.")
    if empty := [name for name, index in indexes.items() if not len(index)]:
        raise ValueError(f"{indexes[empty[0]].source} holds no scene of {empty[0]}. Index the right folder.")
    if match not in ("nearest", "all", "season"):
        raise ValueError(f"match is {match!r}, but must be nearest, all or season.")
    if max_days is not None and not max_days >= 0:
        raise ValueError(f"max_days must not be negative, got {max_days}.")
    if max_days is not None or match == "season":
        check_dates(indexes.values())
    return sensors_needed(min_sensors, indexes)


def nothing_joined(
    indexes: Mapping[str, Footprints], max_days: float | None, least: Mapping[str, float]
) -> ValueError:
    """The error for a join without a single pair.

    Args:
        indexes: What was joined.
        max_days: As asked for.
        least: Least difference in days (or of the season) per sensor among scenes that touch one of the
            finest; infinity where none do, or no date is known.
    """
    late = {name: days for name, days in least.items() if max_days is not None and max_days < days < np.inf}
    if late:
        found = ", ".join(f"{days:.4g} days for {name}" for name, days in late.items())
        return ValueError(
            f"No scenes that share ground lie within max_days {max_days:g} of each other: the nearest are "
            f"{found}. Raise max_days, match the season, or give scenes of other dates."
        )
    places = "\n".join(f"  {name}: {_place(index)}" for name, index in indexes.items())
    during = "" if max_days is None else f" within max_days {max_days:g} of each other"
    return ValueError(
        f"Sensors {' and '.join(indexes)} share no ground{during}:\n{places}\n"
        "Check that the indexes belong together and that the files' CRSs are right."
    )


def _place(index: Footprints) -> str:
    """Bounding box in degrees."""
    west, south, east, north = index.bounds.T
    sides: Sequence[float] = (west.min(), east.max())
    if (west > east).any():
        sides = (-180.0, 180.0)
    return f"longitude {sides[0]:.4f} to {sides[1]:.4f}, latitude {south.min():.4f} to {north.max():.4f}"
