"""Photometric augmentation for any number of bands."""

import kornia.augmentation as K
import torch
from torch import Tensor, nn
from torchgeo.transforms import RandomGrayscale

__all__ = ["Photometric"]


class Photometric(nn.Module):
    """Random gain, offset, loss of colour and blur, drawn for each image.

    Nothing is clipped, so reflectances above 1 survive. Runs in float32 outside autocast, as
    Kornia's operations need.

    Args:
        bands: Number of bands C.
        gain: Largest relative change of all values.
        offset: Largest shift of all values, in units of the value range.
        gray: Probability that all bands become their mean.
        blur: Probability of a Gaussian blur.
    """

    def __init__(
        self, bands: int, gain: float = 0.4, offset: float = 0.05, gray: float = 0.2, blur: float = 0.5
    ) -> None:
        super().__init__()
        self.operations = K.AugmentationSequential(
            # What Kornia calls contrast multiplies, what it calls brightness adds.
            K.RandomContrast((1 - gain, 1 + gain), clip_output=False, p=0.8),
            K.RandomBrightness((1 - offset, 1 + offset), clip_output=False, p=0.8),
            RandomGrayscale(torch.full((bands,), 1 / bands), p=gray),
            K.RandomGaussianBlur((9, 9), (0.1, 2.0), p=blur),
            data_keys=["input"],
        )

    @torch.no_grad()
    def forward(self, image: Tensor) -> Tensor:
        """Images (B, C, H, W) of about [0, 1] -> the same, changed."""
        with torch.autocast(image.device.type, enabled=False):
            changed: Tensor = self.operations(image.float())
            return changed
