"""Dates of acquisition, read from names of files."""

import os
import re
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from torchgeo.datasets.utils import disambiguate_timestamp

__all__ = ["DateRule", "Period", "find_date", "time_of"]

Period = tuple[np.datetime64, np.datetime64]

_UNKNOWN = np.datetime64("NaT", "us")
#: YYYYMMDD or YYYY-MM-DD, both with or without THHMMSS; YYYYDDD. No part of a longer number.
_DATE = re.compile(
    r"(?<!\d)(?P<year>19[5-9]\d|20\d\d)"
    r"(?:(?P<gap>[-_.]?)(?P<month>\d\d)(?P=gap)(?P<day>\d\d)(?:T?(?P<time>\d{6}))?|(?P<yearday>\d{3}))(?!\d)"
)


@dataclass(frozen=True)
class DateRule:
    """Where in a file's name its date stands.

    Args:
        regex: Regular expression, searched in the name and, if it is not there, in the whole path. The date
            is its group ``date``, else its first group, else all of it.
        format: Format of the date as of :meth:`datetime.datetime.strptime`. What it does not say is left
            open: a day lasts from 0:00 to its last microsecond. None: as :func:`find_date` knows it.

    Raises:
        ValueError: If ``regex`` is no regular expression.
    """

    regex: str
    format: str | None = None

    def __post_init__(self) -> None:
        try:
            re.compile(self.regex)
        except re.error as error:
            raise ValueError(
                f"{self.regex!r} is no regular expression: {error}. Correct date_regex."
            ) from error

    def __call__(self, path: str) -> Period:
        """Begin and end of the time that the date names, UTC.

        Raises:
            ValueError: If the path does not follow the rule.
        """
        match = re.search(self.regex, _name(path)) or re.search(self.regex, path)
        if match is None:
            raise ValueError(
                f"No date in {path}: the rule {self.regex!r} does not match. Correct date_regex."
            )
        text = match["date"] if "date" in match.re.groupindex else match[min(1, match.re.groups)]
        try:
            period = find_date(text) if self.format is None else _parsed(text, self.format)
        except ValueError:
            period = _UNKNOWN, _UNKNOWN
        if np.isnat(period[0]):
            shape = "a date as YYYYMMDD, YYYY-MM-DD or YYYYDDD" if self.format is None else repr(self.format)
            raise ValueError(
                f"No date in {path}: the rule {self.regex!r} finds {text!r} there, which is not {shape}. "
                "Correct date_regex or date_format."
            )
        return period


def find_date(path: str) -> Period:
    """The first plausible date in a file's name: YYYYMMDD or YYYY-MM-DD, also with THHMMSS; or YYYYDDD.

    Returns:
        Begin and end of the day, or the second twice; NaT where there is no date from 1950 to 2099.
    """
    for match in _DATE.finditer(_name(path)):
        parts = match.groupdict()
        text = parts["year"] + (parts["yearday"] or parts["month"] + parts["day"]) + (parts["time"] or "")
        try:
            begin = datetime.strptime(
                text, ("%Y%j" if parts["yearday"] else "%Y%m%d") + "%H%M%S" * bool(parts["time"])
            )
        except ValueError:
            continue
        if begin.year != int(parts["year"]):  # day 366 of another year
            continue
        first = np.datetime64(begin, "us")
        return first, first if parts["time"] else first + np.timedelta64(86_400_000_000 - 1, "us")
    return _UNKNOWN, _UNKNOWN


def time_of(path: str, rule: DateRule | None) -> Period:
    """Begin and end of a file's acquisition, datetime64[us], UTC.

    Without a rule, it is that of :func:`find_date`, NaT where there is none.

    Raises:
        ValueError: If the file does not follow the rule given.
    """
    return find_date(path) if rule is None else rule(path)


def _name(path: str) -> str:
    return os.path.basename(path.rstrip("/"))


def _parsed(text: str, form: str) -> Period:
    begin, end = (
        stamp.tz_convert(None) if stamp.tz else stamp for stamp in disambiguate_timestamp(text, form)
    )
    return np.datetime64(begin, "us"), np.datetime64(end, "us")
