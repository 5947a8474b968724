"""Patch tokens of several sensors as colours of one palette."""

from collections.abc import Mapping

import torch
from torch import Tensor

__all__ = ["shared_pca"]

_QUANTILES = (0.01, 0.99)  # a few outlying tokens would leave all others one colour


def shared_pca(tokens: Mapping[str, Tensor], components: int = 3) -> dict[str, Tensor]:
    """Project tokens on the principal components of all sensors together.

    Every sensor has the same weight however many tokens it has. The tokens of a sensor are not
    centred on their own, and the colours of all sensors share one scale: an offset between
    sensors shows as a difference in colour.

    Args:
        tokens: Patch tokens (B, N, D) by sensor; B and N may differ, D not.
        components: Number of components K, at most D.

    Returns:
        Values (B, N, K) in [0, 1] by sensor. The sign of a component makes its largest weight
        positive, so that the same tokens always have the same colours.

    Raises:
        ValueError: If there is no sensor, the widths differ, or ``components`` exceeds D.
    """
    widths = {name: values.shape[-1] for name, values in tokens.items()}
    if len(set(widths.values())) != 1:
        raise ValueError(f"Tokens of one or more sensors and of one width are needed, got widths {widths}.")
    if components > (width := next(iter(widths.values()))):
        raise ValueError(f"components={components} exceeds the width {width} of the tokens.")
    flat = {name: values.float().flatten(0, 1) for name, values in tokens.items()}
    mean = torch.stack([values.mean(dim=0) for values in flat.values()]).mean(dim=0)
    with torch.autocast(mean.device.type, enabled=False):
        basis = _basis([values - mean for values in flat.values()], components)
        projected = {name: (values - mean) @ basis for name, values in flat.items()}
    low, high = _limits(list(projected.values()))
    scaled = {name: ((values - low) / (high - low)).clamp(0, 1) for name, values in projected.items()}
    return {name: values.unflatten(0, tokens[name].shape[:2]) for name, values in scaled.items()}


def _basis(centred: list[Tensor], components: int) -> Tensor:
    """Leading eigenvectors (D, K) of the mean of the sensors' second moments."""
    moments = torch.stack([values.T @ values / len(values) for values in centred]).mean(dim=0)
    vectors = torch.linalg.eigh(moments).eigenvectors.flip(1)[:, :components]
    largest = vectors.gather(0, vectors.abs().argmax(dim=0, keepdim=True))
    return vectors * largest.sign()


def _limits(projected: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Values (K,) that become 0 and 1, never the same."""
    values = torch.cat(projected)
    low, high = torch.quantile(values, torch.tensor(_QUANTILES, device=values.device), dim=0)
    return low, torch.maximum(high, low + torch.finfo(values.dtype).eps)
