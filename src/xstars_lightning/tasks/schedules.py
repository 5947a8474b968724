"""Schedules of X-STARS as pure functions of the optimizer step, so that a resumed run continues exactly."""

from dataclasses import dataclass

from lightly.utils.scheduler import cosine_schedule, cosine_warmup_schedule

__all__ = ["Schedules"]


@dataclass(frozen=True)
class Schedules:
    """What changes while a DINO student trains [0]; every method takes the optimizer step, from 0.

    Args:
        steps: Optimizer steps of the whole run.
        lr: Peak learning rate; warmed up linearly from 0, then cosine to ``final_lr``.
        final_lr: Learning rate at the end.
        warmup: Share of the steps in which the learning rate is warmed up.
        weight_decay: Weight decay at start and end, cosine between them.
        momentum: Momentum of the teacher at start and end, cosine between them.
        teacher_temperature: Temperature of the teacher before and after its linear warm-up.
        temperature_warmup: Share of the steps in which that is warmed up.
        freeze_last_layer: Share of the steps in which DINO's last layer stays as it is.
        freeze_trunk: Share of the steps in which the layers that came from elsewhere stay as they are.

    References:
        [0]: DINO, 2021, https://arxiv.org/abs/2104.14294
    """

    steps: int
    lr: float
    final_lr: float
    warmup: float
    weight_decay: tuple[float, float]
    momentum: tuple[float, float]
    teacher_temperature: tuple[float, float]
    temperature_warmup: float
    freeze_last_layer: float = 0.0
    freeze_trunk: float = 0.0

    @property
    def warmup_steps(self) -> int:
        """Steps in which the learning rate is warmed up."""
        return round(self.steps * self.warmup)

    def learning_rate(self, step: int) -> float:
        """Learning rate of what is not frozen."""
        return cosine_warmup_schedule(
            min(step, self.steps), self.steps, self.lr, self.final_lr, self.warmup_steps, 0.0
        )

    def decay(self, step: int) -> float:
        """Weight decay."""
        return cosine_schedule(min(step, self.steps), self.steps, *self.weight_decay)

    def teacher_momentum(self, step: int) -> float:
        """Share of its own weights that the teacher keeps."""
        return cosine_schedule(min(step, self.steps), self.steps, *self.momentum)

    def temperature(self, step: int) -> float:
        """Temperature of the teacher's softmax."""
        first, last = self.teacher_temperature
        return first + (last - first) * self.ramp(step, self.temperature_warmup)

    def ramp(self, step: int, share: float) -> float:
        """Linear rise from 0 to 1 over a share of the steps; 1 throughout if the share is 0."""
        over = self.steps * share
        return min(1.0, step / over) if over else 1.0

    def frozen(self, step: int, part: str) -> bool:
        """Whether ``last_layer`` or ``trunk`` stays as it is in this step."""
        return step < getattr(self, f"freeze_{part}") * self.steps
