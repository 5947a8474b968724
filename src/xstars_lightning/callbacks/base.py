"""What the callbacks expect of a task, and how they report."""

from collections.abc import Mapping
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from xstars_lightning.losses import pool_tokens
from xstars_lightning.sensors import Sensor

__all__ = ["CrossSensorTask", "TokenCallback", "report"]


class CrossSensorTask(Protocol):
    """What a task offers to the callbacks, beside tokens from ``validation_step``."""

    @property
    def sensors(self) -> Mapping[str, Sensor]:
        """The sensors, by the names under which they stand in batches."""

    def views(self, batch: Mapping[str, Tensor]) -> Mapping[str, Any]:
        """Augmented views of a batch, ``{sensor: Views}``."""


def report(trainer: Trainer, module: LightningModule, metrics: Mapping[str, float]) -> None:
    """Log metrics of a validation, also of the one before the first step, which Lightning leaves out."""
    if not trainer.sanity_checking:
        module.log_dict(dict(metrics), sync_dist=True)  # equal in all processes
    elif trainer.is_global_zero:
        for logger in trainer.loggers:
            logger.log_metrics(dict(metrics), step=trainer.global_step)


class TokenCallback(Callback):
    """Gathers what ``validation_step`` returns, ``{sensor: tokens (B, 1 + N, D)}``.

    Every process validates the same windows, so nothing needs to be exchanged.

    Attributes:
        tokens: Tokens of the validation so far, (W, 1 + N, D) per sensor, float32 on the CPU; N
            may differ between sensors.
        valid: Share of each patch that the sensor saw, (W, N) per sensor.
    """

    tokens: dict[str, Tensor]
    valid: dict[str, Tensor]

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget the last validation."""
        self._tokens: dict[str, list[Tensor]] = {}
        self._valid: dict[str, list[Tensor]] = {}

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Mapping[str, Tensor],
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the tokens of one batch."""
        for sensor, tokens in outputs.items():
            side = round((tokens.shape[1] - 1) ** 0.5)
            share = F.adaptive_avg_pool2d(batch[f"valid_{sensor}"].float(), side).flatten(1)
            self._tokens.setdefault(sensor, []).append(tokens.float().cpu())
            self._valid.setdefault(sensor, []).append(share.cpu())

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Join the batches."""
        self.tokens = {sensor: torch.cat(parts) for sensor, parts in self._tokens.items()}
        self.valid = {sensor: torch.cat(parts) for sensor, parts in self._valid.items()}

    def places(self, side: int | None = None) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Patch tokens of all sensors on one grid, by default that of the coarsest sensor.

        Args:
            side: Places along a side of a window.

        Returns:
            By sensor: tokens (W, side^2, D), and where it saw at least half, bool (W, side^2).
        """
        side = side or round(min(share.shape[1] for share in self.valid.values()) ** 0.5)
        pooled = {name: pool_tokens(x[:, 1:], self.valid[name], side) for name, x in self.tokens.items()}
        return {name: x for name, (x, _) in pooled.items()}, {
            name: share >= 0.5 for name, (_, share) in pooled.items()
        }
