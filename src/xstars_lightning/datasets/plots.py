"""Images of several sensors beside each other."""

from collections.abc import Sequence

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["plot_images", "stretched"]

Cell = tuple[str, Tensor, Tensor | None]


def plot_images(rows: Sequence[Sequence[Cell]], suptitle: str | None = None) -> Figure:
    """Show rows of images.

    Args:
        rows: For each row its cells: title, RGB image (3, H, W), validity (1, H, W) or None.
        suptitle: Title of the figure.

    Returns:
        A figure; titles stand above the first row only. Invalid pixels are white, and an image
        without a valid one is a white frame.
    """
    columns = max(len(row) for row in rows)
    size = (3.2 * columns, 3.2 * len(rows) + 0.3)
    figure, axes = plt.subplots(len(rows), columns, figsize=size, squeeze=False, layout="constrained")
    for number, (line, row) in enumerate(zip(axes, rows, strict=True)):
        for axis in line:
            axis.axis("off")
        for axis, (title, image, valid) in zip(line, row, strict=False):
            axis.imshow(stretched(image, valid), interpolation="nearest")
            axis.set_title(title if number == 0 else "")
            if valid is not None and not valid.any():
                axis.set(xticks=[], yticks=[])
                axis.axis("on")
    if suptitle is not None:
        figure.suptitle(suptitle)
    return figure


def stretched(image: Tensor, valid: Tensor | None) -> NDArray[np.float32]:
    """RGB (H, W, 3) in [0, 1], each band from its 2nd to its 98th percentile of valid pixels."""
    rgb = image.detach().cpu().float().permute(1, 2, 0).numpy()
    shown = np.ones(rgb.shape[:2], dtype=bool) if valid is None else valid.detach().cpu().numpy()[0]
    if not shown.any():
        return np.ones_like(rgb)
    low, high = np.percentile(rgb[shown], (2, 98), axis=0).astype(np.float32)
    stretched = np.clip((rgb - low) / np.maximum(high - low, 1e-6), 0, 1)
    return np.where(shown[..., None], stretched, np.float32(1))
