"""One transformer for all sensors, one stem for each."""

from collections.abc import Mapping

import timm
import torch
from timm.layers import PatchEmbed
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from xstars_lightning.sensors import Sensor

__all__ = ["CrossSensorEncoder"]


class _Standardize(nn.Module):
    """Subtracts the mean and divides by the deviation of each band; both travel with the weights."""

    mean: Tensor
    std: Tensor

    def __init__(self, sensor: Sensor) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(sensor.mean)[:, None, None])
        self.register_buffer("std", torch.tensor(sensor.std)[:, None, None])

    def forward(self, image: Tensor) -> Tensor:
        return (image - self.mean) / self.std


class _Embedded(nn.Module):
    """Stands in the trunk where its patch embedding was: tokens arrive embedded by a stem."""

    def __init__(self, patch_embed: PatchEmbed) -> None:
        super().__init__()
        self.grid_size = patch_embed.grid_size

    def forward(self, embedded: Tensor) -> Tensor:
        return embedded


class CrossSensorEncoder(nn.Module):
    """A timm vision transformer with a stem per sensor: standardisation and patch embedding.

    Sensors with the same bands share one patch embedding, as in X-STARS; every sensor keeps its
    own statistics. Images of any size divisible by the patch size are accepted: the position
    embedding is interpolated.

    Args:
        sensors: Sensors by the names under which they stand in batches.
        backbone: Name of a timm vision transformer.
        drop_path_rate: Stochastic depth of the trunk, in [0, 1).

    Raises:
        ValueError: If the backbone is no vision transformer of timm.

    Attributes:
        sensors: The sensors that the encoder knows.
        embed_dim: Token width D.
        patch_size: Side of a patch in pixels.
    """

    def __init__(
        self,
        sensors: Mapping[str, Sensor],
        backbone: str = "vit_tiny_patch16_224",
        drop_path_rate: float = 0.0,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.sensors: dict[str, Sensor] = {}
        trunk = _create_trunk(backbone, drop_path_rate)
        self.embed_dim: int = trunk.embed_dim
        self.patch_size: int = trunk.patch_embed.patch_size[0]
        trunk.patch_embed = _Embedded(trunk.patch_embed)
        self.trunk = trunk
        self.standardize = nn.ModuleDict()
        self.patch_embed = nn.ModuleDict()
        for name, sensor in sensors.items():
            self.add_sensor(name, sensor, new_stem=True)

    def add_sensor(self, name: str, sensor: Sensor, new_stem: bool = False) -> None:
        """Make a sensor known; its patch embedding is that of a known sensor with the same bands.

        Args:
            name: Name of the sensor in batches.
            sensor: Its bands and statistics.
            new_stem: Create a patch embedding, with random weights, if no known one fits.

        Raises:
            ValueError: If the name is taken, or if no patch embedding fits and none may be created.
        """
        if name in self.sensors:
            raise ValueError(f"The encoder has a sensor {name!r} already; choose another name.")
        stem = "-".join(sensor.bands)
        if stem not in self.patch_embed:
            if not new_stem:
                known = "; ".join(f"{key}: {', '.join(value.bands)}" for key, value in self.sensors.items())
                raise ValueError(
                    f"No sensor of the encoder has the bands of {name!r} ({', '.join(sensor.bands)}). "
                    f"Known are {known}. Choose among those bands, or train a stem for the new ones."
                )
            self.patch_embed[stem] = PatchEmbed(
                None, self.patch_size, len(sensor.bands), self.embed_dim, output_fmt="NHWC"
            )
        self.standardize[name] = _Standardize(sensor)
        self.sensors[name] = sensor

    def embed(self, image: Tensor, sensor: str) -> Tensor:
        """Standardise and embed patches.

        Args:
            image: Values scaled to about [0, 1], (B, C, H, W), H and W divisible by the patch size.
            sensor: Name of the sensor.

        Returns:
            Embedded patches (B, H / patch, W / patch, D), to be given to :meth:`contextualize`;
            those of several sensors may be joined along B.

        Raises:
            ValueError: If the sensor is unknown or H or W is not divisible by the patch size.
        """
        if sensor not in self.sensors:
            raise ValueError(f"Unknown sensor {sensor!r}; the encoder knows {', '.join(self.sensors)}.")
        if image.shape[-2] % self.patch_size or image.shape[-1] % self.patch_size:
            raise ValueError(
                f"Images of {image.shape[-2]} x {image.shape[-1]} pixels cannot be cut into patches of "
                f"{self.patch_size} pixels; resize them to a multiple."
            )
        stem = "-".join(self.sensors[sensor].bands)
        embedded: Tensor = self.patch_embed[stem](self.standardize[sensor](image))
        return embedded

    def contextualize(self, embedded: Tensor) -> Tensor:
        """Embedded patches (B, h, w, D) -> normalised tokens (B, 1 + h w, D), class token first."""
        tokens: Tensor = self.trunk.forward_features(embedded)
        return tokens

    def forward(self, image: Tensor, sensor: str) -> Tensor:
        """Images (B, C, H, W) of one sensor -> tokens (B, 1 + N, D), class token first."""
        return self.contextualize(self.embed(image, sensor))


def _create_trunk(backbone: str, drop_path_rate: float) -> VisionTransformer:
    try:
        trunk = timm.create_model(
            backbone, num_classes=0, dynamic_img_size=True, drop_path_rate=drop_path_rate
        )
    except (RuntimeError, TypeError) as error:
        raise ValueError(_NO_VIT.format(backbone)) from error
    if not isinstance(trunk, VisionTransformer) or trunk.num_prefix_tokens != 1:
        raise ValueError(_NO_VIT.format(backbone))
    return trunk


_NO_VIT = (
    "{!r} is no vision transformer of timm with one class token; "
    "vit_tiny_patch16_224, vit_small_patch16_224 and vit_base_patch16_224 are."
)
