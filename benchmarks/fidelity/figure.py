"""The main metrics as bars."""

from collections.abc import Mapping, Sequence
from textwrap import fill

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fidelity.summary import Column, Summary, best_row, occurring

__all__ = ["plot"]

_PLAIN, _BEST = "#a9bfda", "#1f4e8c"


def plot(summaries: Mapping[str, Summary], columns: Sequence[Column]) -> Figure:
    """Draw a line of panels per dataset and a panel per column: means, and deviations over seeds.

    Bars that are bold in the table are dark.

    Args:
        summaries: Rows by dataset; the keys stand above the panels.
        columns: What to show; a dataset that lacks some of them has fewer panels.
    """
    shown = {data: occurring(summary, columns) for data, summary in summaries.items()}
    heights = [len(summary) + 2.5 for summary in summaries.values()]
    width = max(map(len, shown.values()))
    figure = Figure(figsize=(2.2 + 2.1 * width, 0.3 * sum(heights)), layout="constrained")
    parts = figure.subfigures(len(summaries), 1, squeeze=False, height_ratios=heights)[:, 0]
    for part, (data, summary) in zip(parts, summaries.items(), strict=True):
        part.suptitle(data, x=0.01, ha="left", fontsize=10, fontweight="bold")
        line = part.subplots(1, width, squeeze=False)[0]
        for axes, column in zip(line, shown[data], strict=False):
            _draw(axes, summary, column)
        for axes in line[1:]:
            axes.tick_params(labelleft=False)
        for axes in line[len(shown[data]) :]:
            axes.axis("off")
    return figure


def _draw(axes: Axes, summary: Summary, column: Column) -> None:
    factor, best = 100 if column.percent else 1, best_row(summary, column)
    for place, (row, cells) in enumerate(summary.items()):
        if cell := cells.get(column.key):
            mean, spread = factor * cell.mean, factor * (cell.spread or 0)
            axes.barh(place, mean, 0.7, color=_BEST if row == best else _PLAIN)
            axes.errorbar(mean, place, xerr=spread or None, color="black", lw=1, capsize=2)
            axes.text(mean + spread, place, f" {cell.text(column, spread=False)}", va="center", fontsize=8)
    axes.set_yticks(range(len(summary)), list(summary))
    axes.set_ylim(len(summary) - 0.5, -0.5)
    axes.set_xlim(right=1.25 * axes.get_xlim()[1])  # room for the numbers
    axes.set_title(fill(column.title + (" [%]" if column.percent else ""), 26), fontsize=9)
    axes.tick_params(left=False, labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
