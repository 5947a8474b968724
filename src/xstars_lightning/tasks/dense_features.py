"""Patch tokens of tiles of any size, of one date or two, from a frozen network."""

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from xstars_lightning.models.features import FeatureExtractor
from xstars_lightning.tasks.embedding import check_scaled

__all__ = ["dense_features", "draw_tokens"]

_CHUNK = 16  # tiles at once: a datamodule may give all those of a large image in one batch


def dense_features(
    model: FeatureExtractor, image: Tensor, image_size: int | None, share: float = 1.0
) -> Tensor:
    """Patch tokens of tiles, read at a share of their resolution.

    Args:
        model: The network.
        image: Values in about [0, 1], (B, C, H, W), or (B, 2, C, H, W) of two dates.
        image_size: Side in pixels to which tiles are resized; None for the nearest multiple of the patch.
        share: Of the resolution, in (0, 1]: tiles are averaged over areas, then brought to the size that
            they have at full resolution, so that the grid of tokens is the same.

    Returns:
        Tokens (B, h, w, D) float32; of two dates, the absolute difference of theirs.

    Raises:
        ValueError: If the values are not scaled, the bands are others, or a tile is smaller than a patch.
    """
    check_scaled(image)
    if image.ndim == 5:
        first, second = (dense_features(model, date, image_size, share) for date in image.unbind(dim=1))
        return (second - first).abs()
    patch, shape = model.patch_size or 1, image.shape[-2:]
    height, width = (image_size or round(side / patch) * patch for side in shape)
    if image_size is None and min(shape) < patch:
        raise ValueError(
            f"Tiles of {shape[0]} x {shape[1]} pixels are smaller than the patches of {patch} pixels of "
            f"{model.name}; give image_size, to which they are resized."
        )
    parts = [_resize(part, (height, width), share) for part in image.split(_CHUNK)]
    return torch.cat([model(part).patches for part in parts])


def _resize(image: Tensor, size: tuple[int, int], share: float) -> Tensor:
    """Tiles (B, C, H, W) at a share of their resolution -> (B, C, *size)."""
    if share < 1:
        smaller = [max(1, round(share * side)) for side in image.shape[-2:]]
        image = F.interpolate(image, smaller, mode="area")
    if tuple(image.shape[-2:]) == size:
        return image
    return F.interpolate(image, size, mode="bilinear", antialias=True)


def draw_tokens(
    tokens: Tensor, shares: Tensor, images: Tensor, count: int, generator: Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Draw some of the labelled tokens of every tile.

    Args:
        tokens: Features (B, h, w, ...).
        shares: Shares (B, h, w, C) of the classes on their ground.
        images: Numbers (B,) of the images.
        count: Tokens per tile, or fewer where fewer are labelled.
        generator: Of the draw, on the CPU.

    Returns:
        Features (N, ...), shares (N, C) and numbers of the images (N,), on the CPU.
    """
    kept: list[tuple[Tensor, Tensor, Tensor]] = []
    for tile, ground, image in zip(tokens.cpu(), shares.cpu(), images.cpu(), strict=True):
        places = (ground.sum(dim=-1) > 0).flatten().nonzero()[:, 0]
        places = places[torch.randperm(len(places), generator=generator)[:count]]
        features, labels = tile.flatten(0, 1)[places], ground.flatten(0, 1)[places]
        kept.append((features, labels, image.expand(len(places))))
    parts = [torch.cat(part) for part in zip(*kept, strict=True)]
    return parts[0], parts[1], parts[2]
