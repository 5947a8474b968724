"""Multi-crop views of several sensors: shared geometry, separate photometry."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xstars_lightning.sensors import Sensor
from xstars_lightning.transforms.crops import average_down, crop, random_crops
from xstars_lightning.transforms.photometric import Photometric

__all__ = ["MultiCrop", "Views"]


_PRESENT = 0.9  # share of a window


@dataclass(frozen=True)
class Views:
    """Views of one sensor, view-major: all windows of the first view, then of the second, ...

    Attributes:
        globals: (2 B, C, S, S).
        locals: (L B, C, s, s).
        globals_valid: Share of each patch of the global views that the sensor really saw, (2 B, N),
            in [0, 1].
        locals_valid: The same for local views, (L B, n).
        present: Windows of which the sensor saw nearly all, bool (B,): else a crop might show nothing.
    """

    globals: Tensor
    locals: Tensor
    globals_valid: Tensor
    locals_valid: Tensor
    present: Tensor


class MultiCrop(nn.Module):
    """Two global and several local crops [0] of each window, of the same ground for all sensors.

    As geometry is shared, flips and turns included, a view shows every sensor the same square of
    ground: the views of self-distillation serve the alignment of sensors too, at no further
    forward pass. Sensors may have crops of different sizes in pixels, so that fine detail is
    neither thrown away for one nor invented for the other.

    Args:
        sensors: Sensors by the names under which they stand in batches.
        global_size: Side S of global crops in pixels, for each sensor.
        local_size: Side s of local crops in pixels, for each sensor.
        local_crops: Number L of local crops.
        patch_size: Side of the encoder's patches in pixels, for the validity of patches.
        global_scale: Share of the window's area that a global crop covers.
        local_scale: The same for local crops.

    Raises:
        ValueError: If a size is no multiple of the patch size.

    References:
        [0]: SwAV, 2020, https://arxiv.org/abs/2006.09882
    """

    def __init__(
        self,
        sensors: Mapping[str, Sensor],
        global_size: Mapping[str, int],
        local_size: Mapping[str, int],
        local_crops: int = 8,
        patch_size: int = 16,
        global_scale: tuple[float, float] = (0.4, 1.0),
        local_scale: tuple[float, float] = (0.05, 0.4),
    ) -> None:
        super().__init__()
        for name, sizes in (("global_size", global_size), ("local_size", local_size)):
            if wrong := [size for size in sizes.values() if size % patch_size or size < patch_size]:
                raise ValueError(f"{name} {wrong[0]} must be a multiple of the patch size {patch_size}.")
        self.global_size = dict(global_size)
        self.local_size = dict(local_size)
        self.local_crops = local_crops
        self.patch_size = patch_size
        self.global_scale = global_scale
        self.local_scale = local_scale
        self.photometric = nn.ModuleDict({key: Photometric() for key in sensors})

    @torch.no_grad()
    def forward(self, batch: Mapping[str, Tensor]) -> dict[str, Views]:
        """Views of every sensor from a batch with ``image_<sensor>`` and ``valid_<sensor>``."""
        name = next(iter(self.photometric))
        image = batch[f"image_{name}"]
        large = random_crops(2 * len(image), self.global_scale, device=image.device)
        small = random_crops(self.local_crops * len(image), self.local_scale, device=image.device)
        return {name: self._views(batch, name, large, small) for name in self.photometric}

    def _views(self, batch: Mapping[str, Tensor], name: str, large: Tensor, small: Tensor) -> Views:
        seen = batch[f"valid_{name}"].bool()
        # Whatever stands where nothing was seen, NaN included, must not reach a gradient.
        image, valid = batch[f"image_{name}"].float().masked_fill(~seen, 0), seen.float()
        change, sizes = self.photometric[name], (self.global_size[name], self.local_size[name])
        far = change(_crop(image, large, sizes[0], self.global_scale))
        near = far[:0, :, : sizes[1], : sizes[1]]
        if self.local_crops:
            near = change(_crop(image, small, sizes[1], self.local_scale))
        return Views(
            far,
            near,
            self._shares(_crop(valid, large, sizes[0], self.global_scale)),
            self._shares(
                _crop(valid, small, sizes[1], self.local_scale) if self.local_crops else near[:, :1]
            ),
            valid.mean(dim=(1, 2, 3)) >= _PRESENT,
        )

    def _shares(self, valid: Tensor) -> Tensor:
        """Validity of crops (V B, 1, S, S) -> share of every patch (V B, N)."""
        return F.avg_pool2d(valid, self.patch_size).flatten(1)


def _crop(image: Tensor, crops: Tensor, size: int, scale: tuple[float, float]) -> Tensor:
    return crop(average_down(image, size / sqrt(sum(scale) / 2)), crops, size)
