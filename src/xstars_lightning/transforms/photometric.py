"""Photometric augmentation for any number of bands."""

import torch
from kornia.filters import gaussian_blur2d
from torch import Tensor, nn

__all__ = ["Photometric"]

_KERNEL = (9, 9)  # pixels
_SIGMA = (0.1, 2.0)  # pixels
_JITTER = 0.8  # probability of a gain, and of an offset


class Photometric(nn.Module):
    """Random gain, offset, loss of colour and blur, drawn for each image.

    After BYOL's recipe [0], without hue, saturation and solarisation, which any number of bands does not
    allow or does not need, and with the same probabilities for every view. Nothing is clipped, so
    reflectances above 1 survive. Runs in float32 outside autocast. What happens is drawn on the CPU
    wherever the images are, so that colour and blur are computed for those images only to which they
    happen, and nobody waits for a device to know how many these are.

    Args:
        gain: Largest relative change of all values.
        offset: Largest shift of all values, in units of the value range.
        gray: Probability that all bands become their mean.
        blur: Probability of a Gaussian blur.

    References:
        [0]: BYOL, 2020, https://arxiv.org/abs/2006.07733
    """

    def __init__(
        self, *, gain: float = 0.4, offset: float = 0.05, gray: float = 0.2, blur: float = 0.5
    ) -> None:
        super().__init__()
        self.gain = gain
        self.offset = offset
        self.gray = gray
        self.blur = blur

    @torch.no_grad()
    def forward(self, image: Tensor) -> Tensor:
        """Images (B, C, H, W) of about [0, 1] -> the same, changed."""
        count, device = len(image), image.device
        gain = _send(1 + _jitter(count, self.gain), device)
        offset = _send(_jitter(count, self.offset), device)
        gray, blurred = (_send(_some(count, share), device) for share in (self.gray, self.blur))
        with torch.autocast(device.type, enabled=False):
            changed = torch.addcmul(offset, image.float(), gain)
            changed[gray] = changed[gray].mean(dim=1, keepdim=True).expand(-1, image.shape[1], -1, -1)
            if len(blurred):
                # Kornia looks at sigma before it sends it, for which it had to wait were it there already.
                sigma = torch.empty(len(blurred), 1).uniform_(*_SIGMA).expand(-1, 2)
                changed[blurred] = gaussian_blur2d(changed[blurred], _KERNEL, sigma)
        return changed


def _jitter(count: int, largest: float) -> Tensor:
    """Values in [-largest, largest] for each image, most of them not zero: (B, 1, 1, 1)."""
    drawn = torch.empty(count, 1, 1, 1).uniform_(-largest, largest)
    return drawn * (torch.rand(count, 1, 1, 1) < _JITTER)


def _some(count: int, share: float) -> Tensor:
    """Indices of the images drawn, each with probability ``share``."""
    return (torch.rand(count) < share).nonzero().flatten()


def _send(values: Tensor, device: torch.device) -> Tensor:
    """Values on a device, without waiting for it where that is safe."""
    return values.to(device, non_blocking=device.type == "cuda")
