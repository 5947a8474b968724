"""Pictures of what a network sees: rows of images, neighbours, attention, tokens."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import Tensor

from xstars_lightning.evaluation.shared_pca import shared_pca

__all__ = ["plot_neighbours", "plot_rows", "plot_tokens", "stretch"]


def stretch(images: Tensor) -> Tensor:
    """Images (B, 3, H, W) -> (B, H, W, 3) in [0, 1], each band from its 2nd to its 98th percentile."""
    flat = images.float().cpu().flatten(2)
    low, high = torch.quantile(flat, torch.tensor([0.02, 0.98]), dim=2)[..., None]
    scaled = (flat - low) / (high - low).clamp_min(1e-6)
    return scaled.clamp(0, 1).view_as(images).permute(0, 2, 3, 1)


def plot_rows(
    rows: Sequence[tuple[str, Sequence[Tensor]]], titles: Sequence[Sequence[str]] | None = None
) -> Figure:
    """Show rows of pictures, each with a name at its left.

    Args:
        rows: Name and pictures, (H, W) or (H, W, 3) in [0, 1].
        titles: Above each picture of each row.
    """
    columns = max(len(pictures) for _, pictures in rows)
    figure = Figure(figsize=(1.7 * columns, 1.9 * len(rows)), layout="constrained")
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for number, ((label, pictures), line) in enumerate(zip(rows, grid, strict=True)):
        for place, axis in enumerate(line):
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
            if place < len(pictures):
                axis.imshow(pictures[place].numpy(), interpolation="nearest")
            if titles is not None and place < len(titles[number]):
                axis.set_title(titles[number][place], fontsize=6)
        line[0].set_ylabel(label, fontsize=8)
    return figure


def plot_neighbours(
    queries: Tensor,
    retrieved: Sequence[Tensor],
    query_names: Sequence[str],
    retrieved_names: Sequence[Sequence[str]],
) -> Figure:
    """A row for every query: the query on the left, what was retrieved on the right, nearest first.

    Args:
        queries: RGB images (Q, 3, H, W).
        retrieved: For each query RGB images (K, 3, H', W'), of whatever sensor.
        query_names: Above the queries.
        retrieved_names: Above what was retrieved.
    """
    rows = [
        ("query", [picture, *stretch(found)])
        for picture, found in zip(stretch(queries), retrieved, strict=True)
    ]
    titles = [
        [Path(name).stem for name in (query, *names)]
        for query, names in zip(query_names, retrieved_names, strict=True)
    ]
    return plot_rows(rows, titles)


def plot_tokens(images: Tensor, patches: Mapping[str, Tensor], attention: Tensor | None = None) -> Figure:
    """Images, their patch tokens in colours that all share, and where the class token looks.

    Args:
        images: RGB images (B, 3, H, W).
        patches: Patch tokens (B, h, w, D) by name; all in one basis.
        attention: Attention of the class token (B, heads, h, w); the mean over heads is shown.
    """
    colours = shared_pca({name: tokens.cpu().flatten(1, 2) for name, tokens in patches.items()})
    rows: list[tuple[str, Sequence[Tensor]]] = [("image", list(stretch(images)))]
    for name, colour in colours.items():
        rows.append((f"tokens, {name}", list(colour.unflatten(1, patches[name].shape[1:3]))))
    if attention is not None:
        rows.append(("attention", list(attention.mean(dim=1).cpu())))
    return plot_rows(rows)
