"""Random crops as affine maps of the ground: drawn once, applied to every sensor."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["average_down", "crop", "random_crops"]


def random_crops(
    count: int,
    scale: tuple[float, float],
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
    device: torch.device | str = "cpu",
) -> Tensor:
    """Draw crops with one of the eight flips and quarter turns each.

    Seen from above no direction is special, hence the turns. Coordinates are those of
    ``affine_grid``: the window is the square [-1, 1] x [-1, 1] whatever its number of pixels, so
    one crop names the same ground for every sensor.

    Args:
        count: Number of crops B.
        scale: Smallest and largest share of the window's area, in (0, 1].
        ratio: Smallest and largest ratio of width to height, drawn log-uniformly.
        device: Where to draw.

    Returns:
        Affine maps (B, 2, 3) from crop to window.
    """
    area = torch.empty(count, device=device).uniform_(*scale)
    aspect = torch.empty(count, device=device).uniform_(math.log(ratio[0]), math.log(ratio[1])).exp()
    half = torch.stack([(area * aspect).sqrt(), (area / aspect).sqrt()], dim=1).clamp(max=1)
    centre = (torch.rand(count, 2, device=device) * 2 - 1) * (1 - half)
    signs = torch.randint(0, 2, (count, 2), device=device) * 2 - 1
    linear = torch.diag_embed(signs.float())
    transpose = torch.rand(count, device=device) < 0.5
    linear = torch.where(transpose[:, None, None], linear.flip(2), linear)
    return torch.cat([half[:, :, None] * linear, centre[:, :, None]], dim=2)


def crop(image: Tensor, crops: Tensor, size: int) -> Tensor:
    """Cut crops out of windows and resample them bilinearly to one size.

    Args:
        image: Windows (B, C, H, W).
        crops: Maps of :func:`random_crops`, (V B, 2, 3): V crops of each window, view-major.
        size: Side of the crops in pixels.

    Returns:
        Crops (V B, C, size, size), view-major.
    """
    by_window = crops.unflatten(0, (-1, len(image))).transpose(0, 1)
    # The views of a window stand below each other in one grid, so that no window is copied.
    grid = _grid(by_window, size).flatten(1, 2)
    cut = F.grid_sample(image, grid, padding_mode="border", align_corners=False)
    return cut.unflatten(2, (-1, size)).permute(2, 0, 1, 3, 4).flatten(0, 1)


def _grid(crops: Tensor, size: int) -> Tensor:
    """What ``affine_grid`` gives: maps (..., 2, 3) -> places (..., S, S, 2).

    In a tenth of its time on a CPU, and in float32 under autocast too, where it rounds to half a pixel.
    """
    # A place is one complex number, x + iy, so that the map is one product and one sum of them.
    places = torch.view_as_complex(crops.transpose(-1, -2).contiguous())
    across, down, centre = places[..., None, None].unbind(-3)
    at = (2 * torch.arange(size, device=crops.device) + 1) / size - 1
    return torch.view_as_real(across * at + (down * at[:, None] + centre))


def average_down(image: Tensor, side: float) -> Tensor:
    """Average a window so that it has less than 2 ``side`` pixels, against aliasing in :func:`crop`.

    Args:
        image: Windows (B, C, H, W).
        side: Pixels that the window would have at the resolution of its crops.

    Returns:
        Windows of the same ground, (B, C, H / f, W / f) with a whole f, rounded.
    """
    factor = int(max(image.shape[-2:]) / side)
    if factor < 2:
        return image
    height, width = image.shape[-2:]
    if height % factor == width % factor == 0:
        return F.avg_pool2d(image, factor)  # the same in two thirds of the time on a CPU
    return F.adaptive_avg_pool2d(image, (round(height / factor), round(width / factor)))
