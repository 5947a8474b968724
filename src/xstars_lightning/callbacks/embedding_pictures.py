"""Dense embeddings of several scenes as pictures in the colours of one palette."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from PIL import Image
from rasterio.io import DatasetReader
from rasterio.windows import Window

__all__ = ["Palette", "draw_embeddings", "fit_palette"]

SCENES, BLOCKS = 64, 16  # sampled for the palette, and blocks of each
LEAST_SIDE = 512  # pixels of a picture; smaller scenes are enlarged by a whole number
QUANTILES = (0.01, 0.99)  # a few outlying patches would leave all others one colour

Float = NDArray[np.float32]


@dataclass(frozen=True)
class Palette:
    """Principal components as red, green and blue.

    Args:
        mean: Of embeddings (D,).
        basis: Components (D, 3).
        low: Projections that become black (3,).
        high: Projections that become full colour (3,).
    """

    mean: Float
    basis: Float
    low: Float
    high: Float

    def __call__(self, embeddings: Float) -> Float:
        """Embeddings (..., D) -> colours (..., 3) in [0, 1]; NaN where they are."""
        projected = (embeddings - self.mean) @ self.basis
        return np.clip((projected - self.low) / (self.high - self.low), 0, 1)


def fit_palette(scenes: Iterable[Float]) -> Palette:
    """Find the palette of some embeddings; every scene counts the same.

    Args:
        scenes: Embeddings (N, D) of each scene; N may differ, D must be 3 or more.

    Raises:
        ValueError: If there are none.
    """
    samples = [values for values in scenes if len(values)]
    if not samples:
        raise ValueError("No valid embeddings to choose colours by.")
    mean = np.mean([values.mean(axis=0) for values in samples], axis=0)
    moments = np.mean([(values - mean).T @ (values - mean) / len(values) for values in samples], axis=0)
    basis = np.linalg.eigh(moments).eigenvectors[:, :-4:-1]
    # The sign of a component is arbitrary; equal data shall give equal colours.
    basis = basis * np.sign(np.take_along_axis(basis, np.abs(basis).argmax(axis=0)[None], axis=0))
    low, high = np.quantile(
        np.concatenate([(values - mean) @ basis for values in samples]), QUANTILES, axis=0
    )
    return Palette(mean, basis, low, np.maximum(high, low + np.finfo(np.float32).eps))


def draw_embeddings(paths: Sequence[Path]) -> None:
    """Draw GeoTIFFs of :class:`DenseEmbedding` to PNG files beside them, transparent where invalid.

    The palette is fitted to a sample; files are read by rows of blocks. Nothing is drawn of embeddings of
    fewer than three features.

    Args:
        paths: The files; embeddings of one network.
    """
    chosen = np.unique(np.linspace(0, len(paths) - 1, min(SCENES, len(paths))).round().astype(int))
    samples = [_sample(paths[number]) for number in chosen]
    if samples[0].shape[1] < 3:
        return
    palette = fit_palette(samples)
    for path in paths:
        picture = _picture(path, palette)
        factor = max(1, LEAST_SIDE // max(picture.size))
        picture = picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)
        part = path.with_suffix(".png.part")
        picture.save(part, format="PNG")
        os.replace(part, path.with_suffix(".png"))


def _sample(path: Path) -> Float:
    """Valid embeddings (N, D) of blocks spread evenly over a file."""
    with rasterio.open(path) as file:
        windows = [window for _, window in file.block_windows(1)]
        chosen = np.unique(np.linspace(0, len(windows) - 1, min(BLOCKS, len(windows))).round().astype(int))
        values = np.concatenate([_read(file, windows[number]).reshape(-1, file.count) for number in chosen])
    return values[~np.isnan(values[:, 0])]


def _picture(path: Path, palette: Palette) -> Image.Image:
    with rasterio.open(path) as file:
        step = file.block_shapes[0][0]
        rows = [
            Window(0, top, file.width, min(step, file.height - top)) for top in range(0, file.height, step)
        ]
        colours = np.concatenate([palette(_read(file, window)) for window in rows])
    opaque = ~np.isnan(colours[..., :1])
    rgba = np.concatenate([np.nan_to_num(colours), opaque], axis=2)
    return Image.fromarray((255 * rgba).round().astype(np.uint8))


def _read(file: DatasetReader, window: Window) -> Float:
    """A window (h, w, D)."""
    return file.read(window=window).astype(np.float32, copy=False).transpose(1, 2, 0)
