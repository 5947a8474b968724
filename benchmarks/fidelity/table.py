"""The page: a table and panels of the figure for each dataset."""

from collections.abc import Sequence
from pathlib import Path

from fidelity.figure import plot
from fidelity.runs import Run
from fidelity.summary import RULE, Column, Summary, best_row, occurring, summarise

__all__ = ["table", "write_page"]

#: Names of the datasets in their order; others follow under their own.
_HEADINGS = {
    "simulated": "Simulated scenes",
    "real": "Real imagery",
    "options": "Options of ours, each alone",
    "continual, simulated": "From Sentinel-2 to a finer sensor, simulated scenes",
    "continual, real": "From Sentinel-2 to a finer sensor, real imagery",
}


def table(summary: Summary, columns: Sequence[Column]) -> str:
    """The rows as a Markdown table; columns without a value are left out."""
    shown = occurring(summary, columns)
    best = [best_row(summary, column) for column in shown]
    lines = [["", *(column.title for column in shown)], ["---", *["---:"] * len(shown)]]
    for row, cells in summary.items():
        texts = [cells[column.key].text(column) if column.key in cells else "-" for column in shown]
        bold = [f"**{text}**" if row == winner else text for text, winner in zip(texts, best, strict=True)]
        lines.append([row, *bold])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def write_page(
    results: Sequence[Run],
    path: str | Path,
    preamble: str,
    columns: Sequence[Column],
    rows: Sequence[str] | None = None,
    main: Sequence[str] | None = None,
) -> None:
    """Write the page, and its figure beside it under the same name with ``.png``.

    Args:
        results: Runs, on one dataset or several.
        path: The Markdown file.
        preamble: Markdown that stands first, with the title.
        columns: Metrics in their order; a dataset shows those that it has.
        rows: Rows in their order; by default as the runs come.
        main: Keys of the columns that the figure shows; by default the first four.

    Raises:
        ValueError: If no run has anything to show.
    """
    summaries = _by_dataset(results, columns, rows)
    if not summaries:
        raise ValueError(f"None of the {len(results)} runs has a row and a column of the page; run more.")
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    chosen = columns[:4] if main is None else [column for column in columns if column.key in main]
    plot(summaries, chosen).savefig(path.with_suffix(".png"), dpi=150)
    parts = [preamble.strip(), f"![Means and standard deviations over seeds]({path.stem}.png)"]
    for heading, summary in summaries.items():
        parts += [f"## {heading}", table(summary, columns).strip(), f"{_explain(summary, columns)} {RULE}"]
    path.write_text("\n\n".join(parts) + "\n")


def _by_dataset(
    results: Sequence[Run], columns: Sequence[Column], rows: Sequence[str] | None
) -> dict[str, Summary]:
    """What there is to show, by heading."""
    names = dict.fromkeys([*_HEADINGS, *(run["data"] for run in results)])
    parts = {name: summarise([run for run in results if run["data"] == name], rows) for name in names}
    return {_HEADINGS.get(name, name): part for name, part in parts.items() if occurring(part, columns)}


def _explain(summary: Summary, columns: Sequence[Column]) -> str:
    shown = occurring(summary, columns)
    counts = {
        cells[column.key].seeds for cells in summary.values() for column in shown if column.key in cells
    }
    low, high = min(counts), max(counts)
    seeds = f"{high} seed{'s' if high > 1 else ''}" if low == high else f"{low} to {high} seeds"
    unit = " (shares in per cent)" if any(column.percent for column in shown) else ""
    return f"Mean ± sample standard deviation over {seeds}{unit}."
