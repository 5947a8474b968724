"""What tasks with a student and a momentum teacher share: optimizer, schedules, teacher, validation."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from lightly.models.modules import DINOProjectionHead
from lightly.models.utils import update_momentum
from timm.optim import param_groups_weight_decay
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from torchgeo.tasks import BaseTask

from xstars_lightning.models import CrossSensorEncoder
from xstars_lightning.models.weights import DESCRIPTION, describe_encoder
from xstars_lightning.sensors import Sensor
from xstars_lightning.tasks.schedules import Schedules

__all__ = ["TeacherStudent"]


class TeacherStudent(BaseTask):
    """A student that trains and a teacher that follows it by an exponential moving average.

    A subclass calls :meth:`build_pair` in ``configure_models`` and has the hyperparameters of
    :class:`~xstars_lightning.tasks.schedules.Schedules`, ``image_size`` and ``freeze_last_layer``.

    Attributes:
        model: The student's encoder.
        head: The student's DINO head.
        teacher: The teacher's encoder, the one to keep.
        teacher_head: The teacher's DINO head.
    """

    monitor = "val_retrieval"
    mode = "max"

    def build_pair(
        self,
        sensors: Mapping[str, Sensor],
        backbone: str,
        drop_path_rate: float,
        head_dim: int,
        prototypes: int,
    ) -> None:
        """Create student and teacher with equal weights; the teacher takes no gradient."""
        self.model = CrossSensorEncoder(sensors, backbone, drop_path_rate)
        self.teacher = CrossSensorEncoder(sensors, backbone)
        # The head's weight norm cannot be deep-copied, so two are built and one is loaded.
        self.head, self.teacher_head = (
            DINOProjectionHead(self.model.embed_dim, head_dim, output_dim=prototypes) for _ in range(2)
        )
        for student, teacher in self._pairs():
            teacher.load_state_dict(student.state_dict())
            teacher.requires_grad_(False)

    def _pairs(self) -> tuple[tuple[nn.Module, nn.Module], ...]:
        return (self.model, self.teacher), (self.head, self.teacher_head)

    @property
    def sensors(self) -> dict[str, Sensor]:
        """The sensors, by the names under which they stand in batches."""
        return self.teacher.sensors

    @property
    def schedules(self) -> Schedules:
        """The schedules of this run, for as many steps as the trainer will take."""
        p = self.hparams
        names = ("lr", "final_lr", "warmup", "weight_decay", "momentum", "teacher_temperature")
        return Schedules(int(self.trainer.estimated_stepping_batches), **{name: p[name] for name in names})

    def configure_optimizers(self) -> Optimizer:
        """AdamW; no decay for biases and norms, a group of its own for DINO's last layer."""
        last = list(self.head.last_layer.parameters())
        known = {id(parameter) for parameter in last}
        groups = param_groups_weight_decay(self, weight_decay=1.0)
        for group in groups:
            group["params"] = [p for p in group["params"] if id(p) not in known]
            group["decays"] = group["weight_decay"] > 0
        frozen = {"params": [p for p in last if p.requires_grad], "weight_decay": 0.0, "last_layer": True}
        return AdamW([*groups, frozen], lr=self.hparams["lr"])

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Set learning rate and weight decay for the step to come."""
        schedules, step = self.schedules, self.global_step
        thaw = self.hparams["freeze_last_layer"] * schedules.steps
        for group in self.trainer.optimizers[0].param_groups:
            frozen = group.get("last_layer", False) and step < thaw
            group["lr"] = 0.0 if frozen else schedules.learning_rate(step)
            if group.get("decays"):
                group["weight_decay"] = schedules.decay(step)

    def optimizer_step(
        self,
        epoch: int,
        batch_idx: int,
        optimizer: Any,
        optimizer_closure: Callable[[], Any] | None = None,
    ) -> None:
        """Step the student, then move the teacher by 1 - m towards it."""
        momentum = self.schedules.teacher_momentum(self.global_step)
        super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)
        with torch.no_grad():
            for student, teacher in self._pairs():
                update_momentum(student, teacher, momentum)

    def encode(self, batch: Mapping[str, Tensor], sensor: str) -> Tensor:
        """Tokens (B, 1 + N, D) of the teacher for whole windows, resized to ``image_size``."""
        size = self.hparams["image_size"]
        image = F.interpolate(batch[f"image_{sensor}"], (size, size), mode="bilinear", antialias=True)
        tokens: Tensor = self.teacher(image, sensor)
        return tokens

    def validation_step(self, batch: Mapping[str, Tensor], batch_idx: int) -> dict[str, Tensor]:
        """Tokens of every sensor, for the callbacks."""
        return {sensor: self.encode(batch, sensor) for sensor in self.sensors}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Leave word of what encoder the checkpoint holds, for ``load_encoder``."""
        checkpoint[DESCRIPTION] = describe_encoder(self.teacher, "teacher.")

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse a checkpoint of another encoder, naming what differs.

        Raises:
            ValueError: If backbone or sensors differ, or the checkpoint is of another task.
        """
        theirs = checkpoint.get(DESCRIPTION)
        ours = describe_encoder(self.teacher, "teacher.")
        if theirs is None:
            raise ValueError(
                "The checkpoint holds no encoder of xstars-lightning; give one that `xstars fit` wrote."
            )
        for key in ("backbone", "sensors"):
            if theirs[key] != ours[key]:
                names = [
                    value if isinstance(value, str) else ", ".join(value)
                    for value in (theirs[key], ours[key])
                ]
                raise ValueError(
                    f"The checkpoint was trained with another {key} ({names[0]}) than this run has "
                    f"({names[1]}), or with other values of it. Resume with the config.yaml of its run."
                )
