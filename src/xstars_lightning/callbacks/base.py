"""What the callbacks expect of a task, and how they report."""

from collections.abc import Mapping
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

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
        tokens: Tokens of the validation so far, (W, 1 + N, D) per sensor, float32 on the CPU.
        valid: Which patches all sensors saw, bool (W, N).
    """

    tokens: dict[str, Tensor]
    valid: Tensor

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget the last validation."""
        self._tokens: dict[str, list[Tensor]] = {}
        self._valid: list[Tensor] = []

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
            self._tokens.setdefault(sensor, []).append(tokens.float().cpu())
        self._valid.append(_valid_patches(batch, outputs).cpu())

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Join the batches."""
        self.tokens = {sensor: torch.cat(parts) for sensor, parts in self._tokens.items()}
        self.valid = torch.cat(self._valid)


def _valid_patches(batch: Mapping[str, Tensor], tokens: Mapping[str, Tensor]) -> Tensor:
    """Patches (B, N) of which every sensor saw at least half."""
    seen = []
    for sensor, values in tokens.items():
        side = round((values.shape[1] - 1) ** 0.5)
        seen.append(F.adaptive_avg_pool2d(batch[f"valid_{sensor}"].float(), side).flatten(1) >= 0.5)
    return torch.stack(seen).all(0)
