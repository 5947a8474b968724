"""How much of what a model knew is left."""

from collections.abc import Mapping
from typing import Any, Protocol, cast

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor

from xstars_lightning.callbacks.base import TokenCallback, report
from xstars_lightning.evaluation import neighbour_overlap

__all__ = ["AnchorRetention", "ContinualTask"]


class ContinualTask(Protocol):
    """What a task of continual pretraining offers."""

    def before(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Tokens (B, 1 + N, D) of the anchor sensors as the model knew them."""


class AnchorRetention(TokenCallback):
    """Compares the anchor sensors' features with what they were before training.

    ``val_retention_<sensor>`` is the share of the k nearest neighbours of a patch, among all patches
    of the held-out ground, that were its neighbours before: 1 at first, and what kNN on the
    anchor sensor would still agree on. ``val_forgetting`` is 1 minus their mean.

    Args:
        k: Neighbours.
        max_patches: Take no more patches than this, evenly spread over the windows.
    """

    def __init__(self, k: int = 10, max_patches: int = 2048) -> None:
        self.k = k
        self.max_patches = max_patches

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget the last validation; ValueError if the task keeps no earlier model."""
        super().on_validation_epoch_start(trainer, pl_module)
        if not hasattr(pl_module, "before"):
            raise ValueError(
                f"{type(pl_module).__name__} keeps no model to compare with; AnchorRetention is for "
                "ContinualXStars."
            )
        self._before: dict[str, list[Tensor]] = {}

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Mapping[str, Tensor],
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the tokens of one batch, now and before."""
        before = cast(ContinualTask, pl_module).before(batch)
        now = {name: outputs[name] for name in before}
        super().on_validation_batch_end(trainer, pl_module, now, batch, batch_idx, dataloader_idx)
        for name, tokens in before.items():
            self._before.setdefault(name, []).append(tokens[:, 1:].float().cpu())

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compare neighbours."""
        super().on_validation_epoch_end(trainer, pl_module)
        metrics = {}
        for name, parts in self._before.items():
            valid = (self.valid[name] >= 0.5).flatten()
            step = -(-int(valid.sum()) // self.max_patches) or 1
            then = torch.cat(parts).flatten(0, 1)[valid][::step]
            now = self.tokens[name][:, 1:].flatten(0, 1)[valid][::step]
            if len(now) > self.k:
                metrics[f"val_retention_{name}"] = float(neighbour_overlap(then, now, self.k))
        if metrics:
            metrics["val_forgetting"] = 1 - sum(metrics.values()) / len(metrics)
        report(trainer, pl_module, metrics)
