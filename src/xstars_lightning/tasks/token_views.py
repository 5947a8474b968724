"""Tokens of augmented views, sensor by sensor."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from xstars_lightning.models import CrossSensorEncoder
from xstars_lightning.transforms import Views

__all__ = ["TokenViews", "encode_views"]


@dataclass(frozen=True)
class TokenViews:
    """Tokens of V views of one sensor, view-major.

    Attributes:
        tokens: (V B, 1 + N, D), class token first; N differs between sensors.
        valid: Share of each patch that the sensor really saw, (V B, N), in [0, 1].
        present: Windows that the sensor saw, bool (B,).
    """

    tokens: Tensor
    valid: Tensor
    present: Tensor

    @property
    def class_tokens(self) -> Tensor:
        """(V, B, D)."""
        return self.tokens[:, 0].unflatten(0, (-1, len(self.present)))


def encode_views(
    encoder: CrossSensorEncoder, views: Mapping[str, Views], kind: str, sensors: Iterable[str]
) -> dict[str, TokenViews]:
    """Encode views of some sensors; those of one size go through the trunk together.

    Args:
        encoder: The encoder.
        views: Views by sensor.
        kind: ``globals`` or ``locals``.
        sensors: Which sensors to encode.
    """
    images = {name: getattr(views[name], kind) for name in sensors}
    tokens: dict[str, Tensor] = {}
    for side in dict.fromkeys(image.shape[-1] for image in images.values()):
        alike = [name for name, image in images.items() if image.shape[-1] == side]
        embedded = torch.cat([encoder.embed(images[name], name) for name in alike])
        parts = encoder.contextualize(embedded).chunk(len(alike))
        tokens |= dict(zip(alike, parts, strict=True))
    return {
        name: TokenViews(tokens[name], getattr(views[name], f"{kind}_valid"), views[name].present)
        for name in images
    }
