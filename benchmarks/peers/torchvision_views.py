"""Peer: DINO's multi-crop on the CPU with torchvision, one image after the other."""

import torch
from torch import Tensor
from torchvision.transforms import v2

__all__ = ["TorchvisionViews"]


class TorchvisionViews:
    """Two global and several local crops of each image, as loaders make them, sample by sample.

    The recipe is that of DINO [0], with vertical flips as images from above allow: crop and resize,
    flips, colour jitter, loss of colour, blur. Two things make it cheaper than the original: crops
    are resampled bilinearly (and against aliasing), not bicubically, as in our transforms; and no
    view is solarised. Pictures are never decoded here.

    Args:
        global_size: Side S of global crops in pixels.
        local_size: Side s of local crops in pixels.
        local_crops: Number L of local crops.
        dtype: In what images are changed: ``torch.uint8``, as loaders get them from files, for which
            torchvision has faster resizing; or ``torch.float32``.
        global_scale: Share of the image's area that a global crop covers.
        local_scale: The same for local crops.
        colour: Change saturation and hue too, as DINO does; ours do not, since they have any number of bands.

    References:
        [0]: DINO, 2021, https://arxiv.org/abs/2104.14294
    """

    def __init__(
        self,
        global_size: int,
        local_size: int,
        local_crops: int,
        dtype: torch.dtype = torch.float32,
        global_scale: tuple[float, float] = (0.4, 1.0),
        local_scale: tuple[float, float] = (0.05, 0.4),
        colour: bool = True,
    ) -> None:
        self.local_size = local_size
        self.local_crops = local_crops
        self.dtype = dtype
        self.far = _recipe(global_size, global_scale, colour)
        self.near = _recipe(local_size, local_scale, colour)

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Views of a batch.

        Args:
            images: (B, 3, H, W), float in [0, 1] or uint8; best of the type in which they are changed.

        Returns:
            Global crops (2 B, 3, S, S) and local crops (L B, 3, s, s), float32 in [0, 1], view-major:
            all images of the first view, then of the second, ...
        """
        far, near = zip(*(self.sample(image) for image in images), strict=True)
        return torch.stack(far, dim=1).flatten(0, 1), torch.stack(near, dim=1).flatten(0, 1)

    def sample(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Views of one image (3, H, W), what a dataset would return: (2, 3, S, S) and (L, 3, s, s)."""
        image = v2.functional.to_dtype(image, self.dtype, scale=True)
        far = torch.stack([self.far(image) for _ in range(2)])
        if not self.local_crops:
            return far, far.new_empty(0, 3, self.local_size, self.local_size)
        return far, torch.stack([self.near(image) for _ in range(self.local_crops)])


def _recipe(size: int, scale: tuple[float, float], colour: bool) -> v2.Compose:
    """One view of a given size."""
    saturation = {"saturation": 0.2, "hue": 0.1} if colour else {}
    return v2.Compose(
        [
            v2.RandomResizedCrop(size, scale, interpolation=v2.InterpolationMode.BILINEAR, antialias=True),
            v2.RandomHorizontalFlip(),
            v2.RandomVerticalFlip(),
            v2.RandomApply([v2.ColorJitter(brightness=0.4, contrast=0.4, **saturation)], p=0.8),
            v2.RandomGrayscale(p=0.2),
            v2.RandomApply([v2.GaussianBlur(9, sigma=(0.1, 2.0))], p=0.5),
            v2.ToDtype(torch.float32, scale=True),
        ]
    )
