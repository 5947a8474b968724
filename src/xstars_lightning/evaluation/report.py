"""Scores for the eye: a table for the terminal and a picture of confusions."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.table import Table

from xstars_lightning.evaluation.scores import FewLabelScore, RankedScore, Score

__all__ = ["flat_scores", "plot_confusion", "resolution_table", "save_report", "score_table"]


def score_table(title: str, knn: tuple[str, Score | RankedScore], probes: Sequence[FewLabelScore]) -> Table:
    """Scores in per cent: over all in the first row, then per class.

    Args:
        title: Stands above the table.
        knn: Heading and score of the nearest neighbours.
        probes: Scores of the linear probes; per class the mean over draws is shown.
    """
    table = Table(title=title)
    ranked = isinstance(knn[1], RankedScore)
    table.add_column("average precision [%]" if ranked else "accuracy [%]", no_wrap=True)
    for heading in [knn[0], *(f"linear,\n{probe.heading}" for probe in probes)]:
        table.add_column(heading, justify="right")
    table.add_row("all", _percent(knn[1].main), *(_with_spread(probe) for probe in probes))
    table.add_row("95 %", _bounds(knn[1].interval), *(_bounds(probe.interval) for probe in probes))
    table.add_section()
    for name, accuracy in knn[1].per_class.items():
        means = (_mean([draw.per_class[name] for draw in probe.draws]) for probe in probes)
        table.add_row(name, _percent(accuracy), *(_percent(mean) for mean in means))
    return table


def _bounds(interval: tuple[float, float] | None) -> str:
    return "-" if interval is None else f"{_percent(interval[0])} to {_percent(interval[1])}"


def resolution_table(scores: Mapping[float, Mapping[str, Mapping[str, Any]]]) -> Table:
    """A row for every protocol, a column for every share of the resolution, and their mean.

    Args:
        scores: What :func:`flat_scores` gives, by share of the resolution.
    """
    table = Table(title="at a share of the resolution")
    for heading in ("[%]", *(f"{100 * share:g} %" for share in scores), "mean"):
        table.add_column(heading, justify="right")
    for name in next(iter(scores.values())):
        values = [columns[name]["value"] for columns in scores.values()]
        table.add_row(name, *map(_percent, values), _percent(_mean(values)))
    return table


def flat_scores(knn: Score | RankedScore, probes: Sequence[FewLabelScore]) -> dict[str, dict[str, Any]]:
    """The numbers of the table as ``value``, ``spread`` and ``interval``, by their names in tables."""
    scores = {"kNN": {"value": knn.main, "spread": None, "interval": knn.interval}}
    for probe in probes:
        numbers = {"value": probe.mean, "spread": probe.spread, "interval": probe.interval}
        scores[f"linear, {probe.heading}"] = numbers
    return scores


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def _with_spread(score: FewLabelScore) -> str:
    mean = _percent(score.mean)
    return mean if score.spread is None else f"{mean} ± {100 * score.spread:.1f}"


def plot_confusion(score: Score, title: str) -> Figure:
    """Confusion matrix, every row in per cent of its class.

    Args:
        score: Whose confusions to show.
        title: Stands above; the accuracy is added.
    """
    names, counts = list(score.per_class), torch.tensor(score.confusion)
    shares = 100 * counts / counts.sum(dim=1, keepdim=True).clamp_min(1)
    side = 3 + 0.55 * len(names)
    figure = Figure(figsize=(side + 1, side), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares.numpy(), cmap="Blues", vmin=0, vmax=100)
    figure.colorbar(image, ax=axes, label="% of the images of the class", shrink=0.8)
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="predicted class", ylabel="true class")
    axes.set_title(f"{title}: {100 * score.accuracy:.1f} % correct")
    if len(names) <= 25:  # more numbers than that cannot be read
        _write_numbers(axes, shares.round().int().tolist())
    return figure


def _write_numbers(axes: Axes, shares: Sequence[Sequence[int]]) -> None:
    for row, values in enumerate(shares):
        for column, value in enumerate(values):
            colour = "white" if value > 60 else "black" if value else "0.75"
            axes.text(column, row, str(value), ha="center", va="center", color=colour, fontsize=9)


def save_report(folder: Path, content: Mapping[str, Any], confusion: Figure | None = None) -> None:
    """Write ``evaluation.json`` and ``confusion_matrix.png``; the folder is created."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "evaluation.json").write_text(json.dumps(content, indent=1) + "\n")
    if confusion is not None:
        confusion.savefig(folder / "confusion_matrix.png", dpi=120)
