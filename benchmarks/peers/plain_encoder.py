"""Peer: a vision transformer run as the X-STARS release runs it, attention in plain products."""

from typing import Any

import timm
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from xstars_lightning.models import CrossSensorEncoder

__all__ = ["PlainEncoder", "plain_vit"]


def plain_vit(backbone: str, drop_path_rate: float = 0.0) -> VisionTransformer:
    """A vision transformer of timm that keeps the attention of all pairs of tokens in memory.

    Fused attention, which timm switches on by itself, came after the code that the release builds on.

    Args:
        backbone: Name of a timm vision transformer.
        drop_path_rate: Stochastic depth, in [0, 1).

    Returns:
        The network without classifier; it takes RGB images of any size divisible by the patch size.
    """
    vit: Any = timm.create_model(
        backbone, num_classes=0, dynamic_img_size=True, drop_path_rate=drop_path_rate
    )
    for block in vit.blocks:
        block.attn.fused_attn = False
    found: VisionTransformer = vit
    return found


class PlainEncoder(nn.Module):
    """One transformer and one patch embedding for RGB images of every sensor.

    Args:
        backbone: Name of a timm vision transformer.
        drop_path_rate: Stochastic depth, in [0, 1); 0.1 for the student of the release.

    Attributes:
        vit: The transformer.
        embed_dim: Token width D.
    """

    def __init__(self, backbone: str, drop_path_rate: float = 0.0) -> None:
        super().__init__()
        self.vit = plain_vit(backbone, drop_path_rate)
        self.embed_dim: int = self.vit.embed_dim

    def forward(self, images: Tensor) -> Tensor:
        """Standardised images (B, 3, H, W) -> normalised tokens (B, 1 + N, D), class token first."""
        tokens: Tensor = self.vit.forward_features(images)
        return tokens

    def load(self, encoder: CrossSensorEncoder) -> None:
        """Take the weights of an encoder of ours: its trunk and its patch embedding.

        The standardisation, each sensor's own there, is not taken over.

        Args:
            encoder: Of the same backbone, whose sensors share one patch embedding of three bands.

        Raises:
            ValueError: If the sensors have patch embeddings of their own.
        """
        if len(encoder.patch_embed) != 1:
            raise ValueError(
                f"A plain encoder has one patch embedding, this one has {len(encoder.patch_embed)} "
                f"({', '.join(encoder.patch_embed)}); give sensors with the same bands."
            )
        (stem,) = encoder.patch_embed.values()
        embedding = {f"patch_embed.{name}": value for name, value in stem.state_dict().items()}
        self.vit.load_state_dict(encoder.trunk.state_dict() | embedding)
