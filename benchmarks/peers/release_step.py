"""Peer: a training step of the X-STARS release on two RGB sensors, the alignment's gradient restored."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from lightly.models.modules import DINOProjectionHead
from torch import Tensor, nn
from torch.optim import AdamW

from peers.plain_dino import PlainDINO
from peers.plain_encoder import PlainEncoder
from peers.release_alignment import ReleaseAlignment
from peers.release_update import clip_each, follow, two_groups
from xstars_lightning.models import CrossSensorEncoder
from xstars_lightning.tasks import XStars
from xstars_lightning.transforms import Views

__all__ = ["Crops", "ReleaseStep", "standardized"]


@dataclass(frozen=True)
class Crops:
    """Standardised crops of one sensor, view-major as :class:`~xstars_lightning.transforms.Views`.

    Attributes:
        globals: (2 B, 3, S, S).
        locals: (L B, 3, s, s); L may be 0.
    """

    globals: Tensor
    locals: Tensor


def standardized(encoder: CrossSensorEncoder, views: Mapping[str, Views]) -> dict[str, Crops]:
    """Crops of our views, standardised as our encoder does: the release does so when it loads images."""
    changes = encoder.standardize
    return {name: Crops(changes[name](x.globals), changes[name](x.locals)) for name, x in views.items()}


class ReleaseStep(nn.Module):
    """Student and teacher of the release and all that happens to them in one step.

    One forward pass of the student for each sensor and size of crop, one of the teacher for each
    sensor, then one more of the student for the whole window of each sensor, whose tokens are
    aligned one after the other. DINO's last layer trains, as it does after the release's first epoch.
    Create it, move it to its device, call :meth:`step`.

    Args:
        backbone: Name of a timm vision transformer.
        prototypes: Outputs K of DINO's head; 65536 in the release.
        head_dim: Hidden width of DINO's head.
        drop_path_rate: Stochastic depth of the student; 0.1 in the release, 0 to compare values.
        dropout: Dropout in the heads of the alignment; 0.2 in the release, 0 to compare values.
        alpha: Weight of the alignment.
        teacher_temperature: Divides the teacher's outputs.
        momentum: Share of its own weights that the teacher keeps in a step.
        lr: Learning rate of AdamW.
        weight_decay: Its weight decay, biases and norms excepted.
        precision: Type of autocast in the forward passes; None for none.
    """

    def __init__(
        self,
        backbone: str,
        prototypes: int = 65536,
        head_dim: int = 2048,
        drop_path_rate: float = 0.0,
        dropout: float = 0.0,
        alpha: float = 0.1,
        teacher_temperature: float = 0.04,
        momentum: float = 0.996,
        lr: float = 5e-4,
        weight_decay: float = 0.04,
        precision: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.student, self.teacher = PlainEncoder(backbone, drop_path_rate), PlainEncoder(backbone)
        dim = self.student.embed_dim
        self.head, self.teacher_head = (
            DINOProjectionHead(dim, head_dim, output_dim=prototypes) for _ in range(2)
        )
        self.distillation = PlainDINO(prototypes, teacher_temperature=teacher_temperature)
        self.align = ReleaseAlignment(dim, dropout=dropout)
        self.alpha, self.momentum, self.precision = alpha, momentum, precision
        for student, teacher in self._pairs():
            teacher.load_state_dict(student.state_dict())
            teacher.requires_grad_(False)
        self.optimizer = AdamW(two_groups(self.parameters(), weight_decay), lr=lr)

    def take(self, task: XStars) -> None:
        """Take the weights of encoders and DINO heads of a task of ours; the alignment has its own heads.

        Raises:
            ValueError: If the task's sensors differ in their bands.
        """
        self.student.load(task.model)
        self.teacher.load(task.teacher)
        self.head.load_state_dict(task.head.state_dict())
        self.teacher_head.load_state_dict(task.teacher_head.state_dict())

    def step(self, views: Mapping[str, Crops], windows: Mapping[str, Tensor]) -> float:
        """Losses, gradients, their clipping, optimizer and teacher.

        Args:
            views: Standardised crops of every sensor.
            windows: Whole standardised windows of the two sensors, of the same ground, (B, 3, S, S).

        Returns:
            The loss.
        """
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss(views, windows)
        loss.backward()
        clip_each(self.parameters())
        self.optimizer.step()
        for student, teacher in self._pairs():
            follow(student, teacher, self.momentum)
        return float(loss.detach())

    def loss(self, views: Mapping[str, Crops], windows: Mapping[str, Tensor]) -> Tensor:
        """DINO, the mean over sensors, plus ``alpha`` times the alignment; arguments as of :meth:`step`."""
        device = next(iter(windows.values())).device.type
        with torch.autocast(device, self.precision, enabled=self.precision is not None):
            return self.dino(views) + self.alpha * self.alignment(windows)

    def dino(self, views: Mapping[str, Crops]) -> Tensor:
        """DINO of every sensor by itself, the mean of them; in training, moves the centre."""
        losses, taught = [], []
        for crops in views.values():
            answers = self._answers(crops)
            with torch.no_grad():
                targets = self.teacher_head(self.teacher(crops.globals)[:, 0])
            taught.append(targets)
            windows = len(crops.globals) // 2
            losses.append(self.distillation(answers.split(windows), targets.split(windows)))
        if self.training:
            self.distillation.move_center(torch.cat(taught))
        return torch.stack(losses).mean()

    def alignment(self, windows: Mapping[str, Tensor]) -> Tensor:
        """Alignment of the whole windows of the two sensors, (B, 3, S, S) each."""
        first, second = (self.student(images) for images in windows.values())
        loss: Tensor = self.align(first, second)
        return loss

    def _answers(self, crops: Crops) -> Tensor:
        """The student's outputs ((2 + L) B, K): a pass of the trunk for each size, one of the head."""
        tokens = [self.student(images)[:, 0] for images in (crops.globals, crops.locals) if len(images)]
        outputs: Tensor = self.head(torch.cat(tokens))
        return outputs

    def _pairs(self) -> tuple[tuple[nn.Module, nn.Module], ...]:
        return (self.student, self.teacher), (self.head, self.teacher_head)
