"""How far apart acquisitions lie in time."""

from collections.abc import Iterable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from xstars_lightning.datasets.archive.footprints import Footprints

__all__ = ["Match", "check_dates", "days_apart", "describe_days", "season_apart"]

Float = NDArray[np.float64]
Times = NDArray[np.datetime64]
Match = Literal["nearest", "all", "season"]
DAY = np.timedelta64(1, "D")


def days_apart(a: Times, b: Times) -> Float:
    """Days (N,) between intervals (N, 2): 0 where they overlap, NaN where one is unknown.

    The gap and the shorter of the two, so that a date and the next one, both known to the day, are a day
    apart.
    """
    gap = np.maximum(a[:, 0] - b[:, 1], b[:, 0] - a[:, 1]) / DAY
    shorter = np.minimum(a[:, 1] - a[:, 0], b[:, 1] - b[:, 0]) / DAY
    return np.where(gap <= 0, 0.0, gap + shorter)


def season_apart(a: Times, b: Times) -> Float:
    """Days (N,) from the middle of an interval to that of the other, whatever the year; 183 at most."""
    apart = np.abs(_day_of_year(a) - _day_of_year(b))
    return np.minimum(apart, 365.25 - apart)


def check_dates(indexes: Iterable[Footprints]) -> None:
    """Refuse scenes of which the date is unknown.

    Raises:
        ValueError: The message names the first one.
    """
    for index in indexes:
        unknown = np.flatnonzero(np.isnat(index.time).any(axis=1))
        if len(unknown):
            raise ValueError(
                f"{index.path[unknown[0]].as_py()} and {len(unknown) - 1} more of the {len(index)} scenes in "
                f"{index.source} have no date, which max_days and the season need. Index them again with a "
                "rule for their names (`xstars index --date_regex ... --date_format ...`), or do without: "
                "`--data.max_days null`, and no season."
            )


def describe_days(days: Float) -> str:
    """Least, quartiles and greatest of some differences in days (N,), and how many are unknown (NaN)."""
    known = days[~np.isnan(days)]
    unknown = f"unknown for {len(days) - len(known)} of {len(days)} pairs"
    if not len(known):
        return f"Days between scenes: {unknown}."
    names = ("least", "first quartile", "median", "third quartile", "greatest")
    values = np.quantile(known, np.linspace(0, 1, 5))
    shown = ", ".join(f"{name} {value:.3g}" for name, value in zip(names, values, strict=True))
    return f"Days between scenes: {shown}; {unknown}."


def _day_of_year(times: Times) -> Float:
    middle = times[:, 0] + (times[:, 1] - times[:, 0]) // 2
    return (middle - middle.astype("datetime64[Y]")) / DAY
