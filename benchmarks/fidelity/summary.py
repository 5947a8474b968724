"""Means and spreads over seeds, and which of them is best."""

from collections.abc import Mapping, Sequence
from math import inf, isfinite, sqrt
from statistics import fmean, stdev
from typing import NamedTuple

from fidelity.runs import Run

__all__ = ["RULE", "Cell", "Column", "Summary", "best_row", "occurring", "summarise"]

#: What :func:`best_row` does, for readers.
RULE = (
    "Bold: the best of a column, where it exceeds the second by more than the sum of the two standard errors "
    "(standard deviation / √seeds)."
)


class Column(NamedTuple):
    """A metric to show.

    Args:
        key: Its name in the metrics of runs.
        title: Heading.
        percent: Show 100 times the value, with one decimal instead of two.
        compare: Larger is better, so that one of the rows may be the best.
    """

    key: str
    title: str
    percent: bool = True
    compare: bool = True


class Cell(NamedTuple):
    """Mean and sample standard deviation (None of a single run) of a metric over seeds."""

    mean: float
    spread: float | None
    seeds: int

    @property
    def error(self) -> float:
        """Standard error of the mean; infinite where a single run cannot tell."""
        return inf if self.spread is None else self.spread / sqrt(self.seeds)

    def text(self, column: Column, spread: bool = True) -> str:
        """The mean as the column shows it, with the spread where it is known and wanted."""
        factor, decimals = (100, 1) if column.percent else (1, 2)
        mean = f"{factor * self.mean:.{decimals}f}"
        return mean if self.spread is None or not spread else f"{mean} ± {factor * self.spread:.{decimals}f}"


#: Cells by row and key of the metric.
Summary = Mapping[str, Mapping[str, Cell]]


def summarise(runs: Sequence[Run], rows: Sequence[str] | None = None) -> Summary:
    """Bring the seeds of each row together.

    Args:
        runs: Runs on one dataset.
        rows: Rows in their order; by default as the runs come. Rows without runs are left out.
    """
    values: dict[str, dict[str, list[float]]] = {row: {} for row in rows or ()}
    for run in runs:
        if rows is None or run["row"] in rows:
            for key, value in run["metrics"].items():
                values.setdefault(run["row"], {}).setdefault(key, []).append(value)
    return {
        row: {key: _cell(found) for key, found in by_key.items()} for row, by_key in values.items() if by_key
    }


def _cell(values: Sequence[float]) -> Cell:
    return Cell(fmean(values), stdev(values) if len(values) > 1 else None, len(values))


def occurring(summary: Summary, columns: Sequence[Column]) -> list[Column]:
    """The columns of which some row has a value."""
    return [column for column in columns if any(column.key in cells for cells in summary.values())]


def best_row(summary: Summary, column: Column) -> str | None:
    """The row that is best by :data:`RULE`, or none."""
    there = [(cells[column.key], row) for row, cells in summary.items() if column.key in cells]
    ranked = sorted((pair for pair in there if isfinite(pair[0].mean)), key=lambda pair: -pair[0].mean)
    if not column.compare or len(ranked) < 2:
        return None
    (first, row), (second, _) = ranked[:2]
    return row if first.mean - second.mean > first.error + second.error else None
