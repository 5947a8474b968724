"""A training step of XStars as the trainer takes it, without a trainer, on any views."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from xstars_lightning.sensors import CATALOGUE, Sensor
from xstars_lightning.tasks import XStars
from xstars_lightning.tasks.schedules import Schedules
from xstars_lightning.transforms import Views

#: Two sensors with one patch embedding, as in the release.
SENSORS = {name: CATALOGUE[f"{name}_rgb"] for name in ("aerial", "sentinel2")}


class Task(XStars):
    """X-STARS in the middle of a run, without a trainer."""

    schedules = Schedules(100, 5e-4, 1e-6, 0.1, (0.04, 0.04), (0.996, 0.996), (0.04, 0.04), 0.0)
    global_step = 50


class OurStep:
    """What happens in one step: losses, gradients, their clipping, optimizer and teacher.

    Args:
        backbone: Name of a timm vision transformer.
        sensors: Two sensors, or more.
        prototypes: Outputs of DINO's head.
        device: Where the model is; views must be there too.
        precision: Type of autocast in the forward passes; None for none.
        **options: Others of XStars.
    """

    def __init__(
        self,
        backbone: str,
        sensors: Mapping[str, Sensor] = SENSORS,
        prototypes: int = 65536,
        device: str = "cpu",
        precision: torch.dtype | None = None,
        **options: object,
    ) -> None:
        fixed = {"prototypes": prototypes, "drop_path_rate": 0.0}
        self.task = Task(dict(sensors), windows=10_000, backbone=backbone, **fixed, **options)  # type: ignore[arg-type]
        self.task.to(device)
        self.optimizer = self.task.configure_optimizers()
        self.precision = precision

    def __call__(self, views: Mapping[str, Views]) -> float:
        """Take the step; the loss."""
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self.task.device.type, self.precision, enabled=self.precision is not None):
            loss = self.task.losses(views)["train_loss"]
        loss.backward()
        nn.utils.clip_grad_norm_(self.task.parameters(), 3.0)
        self.optimizer.step()
        self.task.move_teacher(0.996)
        return float(loss.detach())


def batch(
    sensors: Mapping[str, Sensor], windows: int, side: int = 256, device: str = "cpu", seed: int = 0
) -> dict[str, Tensor]:
    """Windows of every sensor; side by side they show the same ground, as far as random pixels can."""
    generator = torch.Generator().manual_seed(seed)
    ground = torch.rand(windows, 1, side, side, generator=generator)
    found = {}
    for name, sensor in sensors.items():
        tint = torch.rand(windows, len(sensor.bands), 1, 1, generator=generator)
        found[f"image_{name}"] = (ground + tint) / 2
        found[f"valid_{name}"] = torch.ones(windows, 1, side, side, dtype=torch.bool)
    return {name: value.to(device) for name, value in found.items()}
