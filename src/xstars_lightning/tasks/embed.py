"""Embedding images with a frozen network, for writing the embeddings."""

from collections.abc import Mapping
from typing import Any, get_args

import torch.nn.functional as F
from torch import Tensor
from torchgeo.tasks import BaseTask

from xstars_lightning.models.features import FeatureExtractor, Pooling, open_features, pool
from xstars_lightning.sensors import Sensor, resolve_sensors
from xstars_lightning.tasks.embedding import check_scaled

__all__ = ["Embed"]


class Embed(BaseTask):
    """Features of windows: one vector for each, and one for each patch.

    For ``trainer.predict`` with a datamodule whose batches hold ``image`` and ``valid``, and a callback
    that writes what :meth:`predict_step` returns.

    Args:
        sensors: The one sensor of ``image``, by the name under which the weights know it. Taken from the
            datamodule's ``sensors`` where it is left out.
        weights: As of :func:`open_features`: a checkpoint or export of ours, a name of timm or TorchGeo;
            without them, the random initialisation.
        backbone: Name of a timm vision transformer, for the random initialisation.
        features: What stands for a window: the class token, the mean of the patches, or both.
        image_size: Side in pixels to which windows are resized first; None: they are embedded as they
            are. Twice the window gives patches of half the size on the ground.
        seed: Of the random initialisation.

    Raises:
        FileNotFoundError: If there are no such weights.
        ValueError: If the weights do not fit the sensor.
    """

    # Sensors are no plain values, which loggers could write.
    ignore = ("weights", "sensors")

    def __init__(
        self,
        sensors: dict[str, Sensor | str] | None = None,
        weights: str | None = None,
        backbone: str = "vit_tiny_patch16_224",
        features: Pooling = "cls",
        image_size: int | None = None,
        seed: int = 0,
    ) -> None:
        if features not in get_args(Pooling):
            raise ValueError(f"features must be one of {get_args(Pooling)}, got {features!r}.")
        self.sensors = sensors
        self.weights = weights
        super().__init__()

    model: FeatureExtractor

    def configure_models(self) -> None:
        """Open the weights if the sensor is known; else :meth:`setup` does so."""
        if self.sensors:
            self._open(resolve_sensors(self.sensors))

    def setup(self, stage: str) -> None:
        """Take the sensor from the datamodule, unless it was given; ValueError if it has none."""
        if self.sensors:
            return
        datamodule = getattr(self.trainer, "datamodule", None)
        self.sensors = getattr(datamodule, "sensors", None)
        if not self.sensors:
            raise ValueError(
                f"{type(datamodule).__name__} does not tell the sensor of its images; give it: "
                "sensors={name: ...}."
            )
        self._open(resolve_sensors(self.sensors))

    def _open(self, sensors: Mapping[str, Sensor]) -> None:
        if len(sensors) != 1:
            raise ValueError(f"One sensor is embedded at a time, got {', '.join(sensors)}; choose one.")
        ((name, sensor),) = sensors.items()
        p = self.hparams
        self.model = open_features(self.weights, name, sensor, p["backbone"], p["seed"])

    @property
    def settings(self) -> dict[str, Any]:
        """What the embeddings depend on, besides the images; plain values."""
        model, p = self.model, self.hparams
        named = {} if model.weights_sha256 else {"model": model.name, "seed": p["seed"]}
        return {
            "weights_sha256": model.weights_sha256,
            **named,
            "sensor": model.sensor.to_dict(),
            "statistics": model.statistics,
            "features": p["features"],
            "image_size": p["image_size"],
        }

    def predict_step(self, batch: Mapping[str, Tensor], batch_idx: int) -> dict[str, Tensor]:
        """Embed the windows that show anything.

        Args:
            batch: ``image`` (B, C, H, W) with values in about [0, 1], ``valid`` (B, 1, H, W) bool.
            batch_idx: Number of the batch.

        Returns:
            ``seen`` (B,), which windows have a valid pixel, and of those, n in number: ``window``
            (n, F), ``patches`` (n, h, w, D), float32, and ``share`` (n, h, w), how much of each patch is
            valid, in [0, 1]. Only ``seen`` if there are none.

        Raises:
            ValueError: If values are far from [0, 1], or the network cannot take windows of this size.
        """
        seen = batch["valid"].flatten(1).any(dim=1)
        if not seen.any():
            return {"seen": seen}
        image = batch["image"][seen]
        check_scaled(image)
        if (size := self.hparams["image_size"]) is not None:
            image = F.interpolate(image, (size, size), mode="bilinear", antialias=True)
        features = self.model(image)
        share = F.adaptive_avg_pool2d(batch["valid"][seen].float(), features.patches.shape[1:3])[:, 0]
        window = pool(features, self.hparams["features"])
        return {"seen": seen, "window": window, "patches": features.patches, "share": share}
