"""What every frozen network gives, and what must be known of it."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn

from xstars_lightning.sensors import Sensor

__all__ = ["FeatureExtractor", "Features", "Pooling", "Standardize", "hash_tensors", "pick_bands", "pool"]

#: The class token, the mean of the patches, or both side by side.
Pooling = Literal["cls", "mean", "cls+mean"]


class Features(NamedTuple):
    """Features of a batch of images, float32.

    Args:
        cls: Class tokens (B, D), or None of a network that has none.
        patches: Patch tokens or the last feature map (B, h, w, D).
    """

    cls: Tensor | None
    patches: Tensor


class Standardize(nn.Module):
    """Subtracts a mean from each band and divides by a deviation; (B, C, H, W) to the same shape."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean)[:, None, None])
        self.register_buffer("std", torch.tensor(std)[:, None, None])

    def forward(self, image: Tensor) -> Tensor:
        """Images in, standardised images out."""
        return (image - self.mean) / self.std


class FeatureExtractor(nn.Module):
    """A frozen network with the bands and the statistics that belong to its weights.

    Subclasses implement :meth:`extract`.

    Args:
        name: For tables.
        sensor: Bands and value range of the images that it is given.
        bands: Those of them that the network takes, in its order.
        network: The network.
        statistics: What is applied to values in [0, 1], as plain values; ``bands`` are added.
        patch_size: Side of a patch in pixels; None where images of any size will do.
        weights_sha256: Hash of the weights; None of a network that was not trained.

    Raises:
        ValueError: If the images lack a band.
    """

    def __init__(
        self,
        name: str,
        sensor: Sensor,
        bands: Sequence[str],
        network: nn.Module,
        statistics: Mapping[str, Any],
        patch_size: int | None = None,
        weights_sha256: str | None = None,
    ) -> None:
        super().__init__()
        self.name = name
        self.sensor = sensor
        self.network = network.eval().requires_grad_(False)
        self.statistics: dict[str, Any] = {"bands": list(bands), **statistics}
        self.patch_size = patch_size
        self.weights_sha256 = weights_sha256
        self._picked = pick_bands(name, sensor, bands)

    def forward(self, image: Tensor) -> Features:
        """Images (B, C, H, W) with values in about [0, 1], all bands of the sensor -> features.

        Raises:
            ValueError: If the number of bands is not that of the sensor, or the images are smaller
                than a patch or no multiple of it.
        """
        if image.shape[1] != len(self.sensor.bands):
            raise ValueError(
                f"Images of {image.shape[1]} bands were given; {self.sensor.name!r} has "
                f"{len(self.sensor.bands)}: {', '.join(self.sensor.bands)}."
            )
        if self.patch_size is not None and any(n < 1 or n % self.patch_size for n in image.shape[-2:]):
            raise ValueError(
                f"Images of {image.shape[-2]} x {image.shape[-1]} pixels cannot be cut into the patches of "
                f"{self.patch_size} pixels of {self.name}; resize them to a multiple."
            )
        features = self.extract(image[:, self._picked])
        return Features(None if features.cls is None else features.cls.float(), features.patches.float())

    def extract(self, image: Tensor) -> Features:
        """Bands that the network takes (B, C', H, W), values in about [0, 1] -> features."""
        raise NotImplementedError


def pick_bands(name: str, sensor: Sensor, bands: Sequence[str]) -> list[int]:
    """Positions of bands among those of a sensor.

    Args:
        name: Of the network that takes the bands, for the message.
        sensor: Whose images are given.
        bands: What the network was trained on.

    Raises:
        ValueError: If the images lack a band.
    """
    if missing := [band for band in bands if band not in sensor.bands]:
        raise ValueError(
            f"{name} was trained on {', '.join(bands)}; the images of {sensor.name!r} have "
            f"{', '.join(sensor.bands)}. Missing: {', '.join(missing)}. Choose other weights, or images "
            "that have these bands."
        )
    return [sensor.bands.index(band) for band in bands]


def pool(features: Features, how: Pooling) -> Tensor:
    """One vector for each image.

    Args:
        features: Of B images.
        how: The class token, the mean of the patches, or both side by side.

    Returns:
        Features (B, F), float32.

    Raises:
        ValueError: If ``how`` is unknown, or asks for a class token that the network lacks.
    """
    if how not in get_args(Pooling):
        raise ValueError(f"features must be one of {get_args(Pooling)}, got {how!r}.")
    if "cls" in how and features.cls is None:
        raise ValueError(f"The network has no class token, as features={how!r} needs; choose 'mean'.")
    parts = {"cls": features.cls, "mean": features.patches.mean(dim=(1, 2))}
    return torch.cat([part for key in how.split("+") if (part := parts[key]) is not None], dim=1)


def hash_tensors(state: Mapping[str, Tensor]) -> str:
    """SHA-256 of names, shapes and values, whatever file they came from."""
    digest = sha256()
    for name, tensor in sorted(state.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
