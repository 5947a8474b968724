"""Segmentation for the eye: a table for the terminal, and images beside truth and prediction."""

from collections.abc import Sequence
from typing import NamedTuple

import matplotlib
import numpy as np
import numpy.typing as npt
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from rich.table import Table
from torch import Tensor

from xstars_lightning.evaluation.dense_protocol import FewImagesScore
from xstars_lightning.evaluation.segmentation import IGNORED

__all__ = ["Overlay", "plot_overlays", "segmentation_table"]

_NOTHING = (0.92, 0.92, 0.92)


class Overlay(NamedTuple):
    """What is shown of one tile.

    Args:
        images: RGB (3, H, W) of every date, of any range.
        truth: Classes (h, w), ``IGNORED`` where nothing counts.
        prediction: Classes (h, w).
        title: Stands beside.
    """

    images: Sequence[Tensor]
    truth: Tensor
    prediction: Tensor
    title: str


def segmentation_table(title: str, rows: Sequence[FewImagesScore]) -> Table:
    """Mean intersection over union in per cent, then that of the classes (means over draws)."""
    table = Table(title=title)
    table.add_column("IoU [%]", no_wrap=True)
    for row in rows:
        table.add_column(f"probe,\n{row.heading}", justify="right")
    table.add_row("mean", *(_mean(row) for row in rows))
    table.add_row("95 %", *("{:.1f} to {:.1f}".format(*(100 * n for n in row.interval)) for row in rows))
    table.add_section()
    for name in rows[0].scores[0].iou:
        known = [[value for s in row.scores if (value := s.iou[name]) is not None] for row in rows]
        table.add_row(name, *(f"{100 * sum(v) / len(v):.1f}" if v else "-" for v in known))
    return table


def _mean(row: FewImagesScore) -> str:
    mean = f"{100 * row.mean:.1f}"
    return mean if row.spread is None else f"{mean} ± {100 * row.spread:.1f}"


def plot_overlays(overlays: Sequence[Overlay], class_names: Sequence[str], title: str) -> Figure:
    """Image (of every date), truth and prediction of each tile in a row, with the classes below.

    Args:
        overlays: At least one.
        class_names: Names of the classes.
        title: Stands above.
    """
    columns = len(overlays[0].images) + 2
    figure = Figure(figsize=(3 * columns, 3 * len(overlays) + 1.2), layout="constrained")
    grid = figure.subplots(len(overlays), columns, squeeze=False)
    colours = _colours(len(class_names))
    headings = [f"image {n}" if columns > 3 else "image" for n in range(1, columns - 1)]
    for axes, overlay in zip(grid, overlays, strict=True):
        hidden = torch.where(overlay.truth == IGNORED, IGNORED, overlay.prediction)
        pictures = [_stretch(image) for image in overlay.images]
        pictures += [_paint(mask, colours) for mask in (overlay.truth, hidden)]
        for cell, picture in zip(axes, pictures, strict=True):
            cell.imshow(picture, interpolation="nearest")
            cell.set(xticks=[], yticks=[])
        axes[0].set_ylabel(overlay.title, fontsize=7)
    for cell, heading in zip(grid[0], [*headings, "truth", "prediction"], strict=True):
        cell.set_title(heading)
    patches = [Patch(color=colour, label=name) for colour, name in zip(colours, class_names, strict=True)]
    patches.append(Patch(color=_NOTHING, label="does not count"))
    figure.legend(
        handles=patches, loc="outside lower center", ncols=min(len(patches), columns + 1), fontsize=8
    )
    figure.suptitle(title)
    return figure


def _colours(count: int) -> list[tuple[float, float, float]]:
    """Colours that can be told apart: those of tab10 and tab20, then a circle of hues."""
    if count <= 20:
        table = matplotlib.colormaps["tab10" if count <= 10 else "tab20"]
        return [table(number)[:3] for number in range(count)]
    return [matplotlib.colormaps["hsv"](number / count)[:3] for number in range(count)]


def _paint(mask: Tensor, colours: Sequence[tuple[float, float, float]]) -> npt.NDArray[np.floating]:
    table = np.array([*colours, _NOTHING])
    return table[torch.where(mask == IGNORED, len(colours), mask).cpu().numpy()]


def _stretch(image: Tensor) -> npt.NDArray[np.floating]:
    """RGB (3, H, W) of any range -> (H, W, 3) in [0, 1], the darkest and brightest 2 % cut off."""
    values = image.float().cpu()
    # One stretch for all bands keeps the colours.
    low, high = np.percentile(values.numpy(), (2, 98))
    scaled = (values - float(low)) / max(float(high - low), 1e-6)
    return scaled.clamp(0, 1).permute(1, 2, 0).numpy()
