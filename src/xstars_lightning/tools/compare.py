"""`xstars compare`: what several evaluations found, side by side."""

from pathlib import Path

from xstars_lightning.evaluation.comparison import (
    comparison_markdown,
    group_runs,
    plot_comparison,
    read_runs,
)

__all__ = ["compare"]


def compare(paths: list[str], out: str | None = None, figure: str | None = None) -> None:
    """Compare evaluations as a Markdown table and a picture.

    Runs on the same test images stand in one table; what else differs between them, such as the images that
    they trained on, is said below it. Paths that hold no evaluation are left out and named.

    Args:
        paths: Folders that `xstars test` wrote, or their evaluation.json.
        out: File for the table, which is printed otherwise.
        figure: File for the picture, such as comparison.png.

    Raises:
        FileNotFoundError: If no path holds an evaluation.
        ValueError: If a file is not that of an evaluation.
    """
    groups = group_runs(read_runs(paths))
    table = comparison_markdown(groups)
    if out is None:
        print(table)
    else:
        Path(out).write_text(table)
    if figure is not None:
        plot_comparison(groups).savefig(figure, dpi=120)
