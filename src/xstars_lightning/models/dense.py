"""A decoder for pixels on an encoder of ours."""

from typing import Any

import segmentation_models_pytorch as smp
import torch.nn.functional as F
from torch import Tensor, nn

from xstars_lightning.models.encoder import CrossSensorEncoder

__all__ = ["PixelClassifier"]

_PATCH_SIZES = (8, 16, 32)


class _Intermediate(nn.Module):
    """Stands where segmentation_models_pytorch has its own transformer: tokens of some blocks."""

    def __init__(self, encoder: CrossSensorEncoder, sensor: str, blocks: list[int]) -> None:
        super().__init__()
        self.encoder, self.sensor, self.blocks = encoder, sensor, blocks
        self.output_stride = encoder.patch_size

    def forward(self, image: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Images in about [0, 1] -> maps (B, D, h, w) and class tokens (B, 1, D), block by block."""
        embedded = self.encoder.embed(image, self.sensor)
        grid = embedded.shape[1:3]
        found: Any = self.encoder.trunk.forward_intermediates(
            embedded, self.blocks, return_prefix_tokens=True, output_fmt="NLC", intermediates_only=True
        )
        maps = [tokens.transpose(1, 2).unflatten(2, grid) for tokens, _ in found]
        return maps, [prefix for _, prefix in found]


class PixelClassifier(nn.Module):
    """DPT [0] of segmentation_models_pytorch [1], its transformer replaced by an encoder of ours.

    The encoder standardises, so images come as they are in batches.

    Args:
        encoder: Of patches of 8, 16 or 32 pixels; used as it is, not copied.
        sensor: Name of the sensor of the images.
        classes: Number C of classes.
        width: Channels of the decoder; those of DPT are 256.

    Raises:
        ValueError: If the patch size is another one.

    Attributes:
        encoder: The encoder.
        multiple: The sides of images must be multiples of this many pixels.

    References:
        [0] https://arxiv.org/abs/2103.13413
        [1] https://github.com/qubvel-org/segmentation_models.pytorch
    """

    def __init__(self, encoder: CrossSensorEncoder, sensor: str, classes: int, width: int = 256) -> None:
        super().__init__()
        if encoder.patch_size not in _PATCH_SIZES:
            raise ValueError(
                f"DPT needs patches of {', '.join(map(str, _PATCH_SIZES))} pixels; {encoder.backbone} has "
                f"{encoder.patch_size}. Choose another backbone, or probe its tokens."
            )
        bands = len(encoder.sensors[sensor].bands)
        depth = len(encoder.trunk.blocks)
        blocks = [depth * quarter // 4 - 1 for quarter in range(1, 5)]
        network = smp.DPT(
            f"tu-{encoder.backbone}",
            encoder_weights=None,
            encoder_output_indices=blocks,
            decoder_intermediate_channels=(width, 2 * width, 4 * width, 4 * width),
            decoder_fusion_channels=width,
            in_channels=bands,
            classes=classes,
        )
        network.encoder = _Intermediate(encoder, sensor, blocks)
        self.network = network
        self.multiple = 2 * max(encoder.patch_size, 16)  # the decoder halves the grid of tokens once

    @property
    def encoder(self) -> CrossSensorEncoder:
        """The encoder."""
        encoder: CrossSensorEncoder = self.network.encoder.encoder
        return encoder

    def forward(self, image: Tensor) -> Tensor:
        """Images (B, C, H, W) in about [0, 1] -> logits (B, classes, H, W)."""
        size = image.shape[-2:]
        height, width = (max(round(side / self.multiple), 1) * self.multiple for side in size)
        if (height, width) != tuple(size):
            image = F.interpolate(image, (height, width), mode="bilinear", antialias=True)
        logits: Tensor = self.network(image)
        return logits if logits.shape[-2:] == size else F.interpolate(logits, size, mode="bilinear")
