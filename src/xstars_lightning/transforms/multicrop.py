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


@dataclass(frozen=True)
class Views:
    """Views of one sensor, view-major: all windows of the first view, then of the second, ...

    Attributes:
        globals: (2 B, C, S, S).
        locals: (L B, C, s, s).
        valid: Which patches of the global views the sensor really saw, bool (2 B, N).
    """

    globals: Tensor
    locals: Tensor
    valid: Tensor


class MultiCrop(nn.Module):
    """Two global and several local crops [0] of each window, of the same ground for all sensors.

    As geometry is shared, patch n of global view v is the same place for every sensor: the
    views of self-distillation serve the alignment of sensors too, at no further forward pass.

    Args:
        sensors: Sensors by the names under which they stand in batches.
        global_size: Side S of global crops in pixels, for every sensor.
        local_size: Side s of local crops in pixels.
        local_crops: Number L of local crops.
        patch_size: Side of the encoder's patches in pixels, for the validity of patches.
        global_scale: Share of the window's area that a global crop covers.
        local_scale: The same for local crops.
        min_valid: Share of a patch's pixels that must be valid for the patch to be.

    References:
        [0]: SwAV, 2020, https://arxiv.org/abs/2006.09882
    """

    def __init__(
        self,
        sensors: Mapping[str, Sensor],
        global_size: int = 224,
        local_size: int = 96,
        local_crops: int = 8,
        patch_size: int = 16,
        global_scale: tuple[float, float] = (0.4, 1.0),
        local_scale: tuple[float, float] = (0.05, 0.4),
        min_valid: float = 0.5,
    ) -> None:
        super().__init__()
        for name, size in (("global_size", global_size), ("local_size", local_size)):
            if size % patch_size or size < patch_size:
                raise ValueError(f"{name} {size} must be a multiple of the patch size {patch_size}.")
        self.global_size = global_size
        self.local_size = local_size
        self.local_crops = local_crops
        self.patch_size = patch_size
        self.global_scale = global_scale
        self.local_scale = local_scale
        self.min_valid = min_valid
        self.photometric = nn.ModuleDict({key: Photometric(len(s.bands)) for key, s in sensors.items()})

    @torch.no_grad()
    def forward(self, batch: Mapping[str, Tensor]) -> dict[str, Views]:
        """Views of every sensor from a batch with ``image_<sensor>`` and ``valid_<sensor>``."""
        name = next(iter(self.photometric))
        image = batch[f"image_{name}"]
        large = random_crops(2 * len(image), self.global_scale, device=image.device)
        small = random_crops(self.local_crops * len(image), self.local_scale, device=image.device)
        return {name: self._views(batch, name, large, small) for name in self.photometric}

    def _views(self, batch: Mapping[str, Tensor], name: str, large: Tensor, small: Tensor) -> Views:
        image = batch[f"image_{name}"].float()
        change = self.photometric[name]
        far = change(self._crop(image, large, self.global_size, self.global_scale))
        near = far[:0, :, : self.local_size, : self.local_size]
        if self.local_crops:
            near = change(self._crop(image, small, self.local_size, self.local_scale))
        return Views(far, near, self._valid_patches(batch[f"valid_{name}"], large))

    @staticmethod
    def _crop(image: Tensor, crops: Tensor, size: int, scale: tuple[float, float]) -> Tensor:
        return crop(average_down(image, size / sqrt(sum(scale) / 2)), crops, size)

    def _valid_patches(self, valid: Tensor, crops: Tensor) -> Tensor:
        share = F.avg_pool2d(
            self._crop(valid.float(), crops, self.global_size, self.global_scale), self.patch_size
        )
        return share.flatten(1) >= self.min_valid
