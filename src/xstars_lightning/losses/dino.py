"""DINO for several sensors at once."""

import torch
from lightly.utils import dist
from torch import Tensor, nn

__all__ = ["CrossSensorDINOLoss"]


class CrossSensorDINOLoss(nn.Module):
    """DINO [0] for several sensors in one batched computation.

    Every sensor has a centre of its own, windows that a sensor did not see are left out, and, if
    asked, the teacher's view of the other sensors is a target too. Lightly's DINOLoss can neither
    leave out windows nor share a batch between sensors.

    With teacher probabilities q = softmax((teacher - centre) / teacher_temperature) and student
    log-probabilities p = log_softmax(student / student_temperature), the own term of a sensor is
    the mean of -<q_u, p_v> over the 2 V - 2 pairs of different views and over the windows that it
    saw. The cross term of two sensors takes q of the other, all 2 V pairs of views (the same view
    is another picture there) and the windows that both saw; the loss of a sensor is then the mean
    of its own term and of its mean cross term with the sensors that share a window with it, and
    the own term alone where none does.

    The centre is a plain mean over the first steps: an average that starts at 0 lags behind for
    tens of steps, in which the student learns to answer what the teacher says of every window.

    Args:
        sensors: Number of sensors S.
        prototypes: Outputs K of the head.
        student_temperature: Divides the student's outputs; positive.
        center_momentum: Share of the centre that a step keeps, once it is no longer a plain mean;
            in [0, 1].
        cross_sensor: Take targets from the other sensors too.

    Raises:
        ValueError: If an option is out of its domain, or targets of other sensors are asked for
            and there is none.

    References:
        [0]: DINO, 2021, https://arxiv.org/abs/2104.14294
    """

    center: Tensor
    updates: Tensor

    def __init__(
        self,
        sensors: int,
        prototypes: int,
        student_temperature: float = 0.1,
        center_momentum: float = 0.9,
        cross_sensor: bool = False,
    ) -> None:
        super().__init__()
        if sensors < 1 or prototypes < 2:
            raise ValueError(f"Expected sensors >= 1 and prototypes >= 2, got {sensors} and {prototypes}.")
        if student_temperature <= 0:
            raise ValueError(f"student_temperature must be positive, got {student_temperature}.")
        if not 0 <= center_momentum <= 1:
            raise ValueError(f"center_momentum must be in [0, 1], got {center_momentum}.")
        if cross_sensor and sensors == 1:
            raise ValueError("cross_sensor needs at least two sensors, got 1; leave it False.")
        self.student_temperature = student_temperature
        self.center_momentum = center_momentum
        self.cross_sensor = cross_sensor
        self.register_buffer("center", torch.zeros(sensors, prototypes))
        self.register_buffer("updates", torch.zeros(sensors, dtype=torch.int64))

    def forward(
        self, student: Tensor, teacher: Tensor, teacher_temperature: float, present: Tensor | None = None
    ) -> Tensor:
        """Losses of the sensors, in float32 under any autocast; in training, moves their centres.

        The mean over processes of what they return is the loss of their joint batch.

        Args:
            student: Outputs (S, V, B, K) of V views, the first 2 of them the teacher's.
            teacher: Outputs (S, 2, B, K); they receive no gradient.
            teacher_temperature: Divides the teacher's centred outputs; positive.
            present: Windows that a sensor saw, bool (S, B); default all. Outputs of the others may
                be anything.

        Returns:
            Losses (S,); a differentiable 0 for a sensor that saw no window of any process.

        Raises:
            ValueError: If the shapes disagree or the temperature is not positive.
        """
        self._check(student, teacher, teacher_temperature, present)
        with torch.autocast(student.device.type, enabled=False):
            teacher = _select(teacher.detach(), present)
            targets = self._targets(teacher, teacher_temperature, present)
            scores = (_select(student, present) / self.student_temperature).log_softmax(-1)
            shown = scores.new_ones(student.shape[::2]) if present is None else present.float()
            # Windows of all processes that both of two sensors saw; on the diagonal, that one saw.
            counts = _sum_over_processes(shown @ shown.T)
            windows = counts.clamp(min=1) / dist.world_size()
            losses = _own(targets, scores) / windows.diagonal()
            if self.cross_sensor:
                cross = _cross(targets, scores, shown) / windows
                partner = (counts > 0).fill_diagonal_(False)
                mean = (cross * partner).sum(1) / partner.sum(1).clamp(min=1)
                losses = torch.where(partner.any(1), (losses + mean) / 2, losses)
            if self.training:
                self._move_center(teacher, counts.diagonal())
        return losses

    def _check(
        self, student: Tensor, teacher: Tensor, teacher_temperature: float, present: Tensor | None
    ) -> None:
        sensors, prototypes = self.center.shape
        s, t = tuple(student.shape), tuple(teacher.shape)
        agree = len(s) == 4 and s[0] == sensors and s[1] >= 2 and s[3] == prototypes
        if not agree or t != (sensors, 2, s[2], prototypes):
            raise ValueError(
                f"Expected student ({sensors}, V >= 2, B, {prototypes}) and teacher ({sensors}, 2, B, "
                f"{prototypes}), got {s} and {t}."
            )
        if present is not None and (present.shape != (sensors, s[2]) or present.dtype != torch.bool):
            raise ValueError(
                f"Expected present bool {(sensors, s[2])}, got {present.dtype} {tuple(present.shape)}."
            )
        if teacher_temperature <= 0:
            raise ValueError(f"teacher_temperature must be positive, got {teacher_temperature}.")

    def _targets(self, teacher: Tensor, temperature: float, present: Tensor | None) -> Tensor:
        """The teacher's probabilities (S, 2, B, K); 0 for windows that the sensor did not see."""
        targets = ((teacher - self.center[:, None, None].float()) / temperature).softmax(-1)
        return targets if present is None else targets.masked_fill_(~present[:, None, :, None], 0)

    def _move_center(self, teacher: Tensor, counts: Tensor) -> None:
        """Move the centres towards the means of outputs (S, 2, B, K), 0 where not seen; counts (S,)."""
        mean = _sum_over_processes(teacher.sum((1, 2))) / (2 * counts.clamp(min=1))[:, None]
        momentum = (self.updates / (self.updates + 1)).clamp(max=self.center_momentum)
        seen = counts > 0
        moved = torch.lerp(mean, self.center.float(), momentum[:, None])
        self.center.copy_(torch.where(seen[:, None], moved, self.center))
        self.updates.add_(seen)


def _select(outputs: Tensor, present: Tensor | None) -> Tensor:
    """Outputs (S, V, B, K) in float32, 0 for windows that the sensor did not see."""
    if present is not None:
        outputs = torch.where(present[:, None, :, None], outputs, 0)
    return outputs.float()


def _own(targets: Tensor, scores: Tensor) -> Tensor:
    """Cross-entropy (S,) of every sensor: mean over pairs of different views, sum over windows."""
    terms = torch.einsum("subk,svbk->suv", targets, scores)
    same = torch.eye(2, terms.shape[2], dtype=torch.bool, device=terms.device)
    return -terms.masked_fill(same, 0).sum((1, 2)) / (2 * terms.shape[2] - 2)


def _cross(targets: Tensor, scores: Tensor, shown: Tensor) -> Tensor:
    """Cross-entropy (S, S) of students (rows) and teachers: mean over views, sum over common windows."""
    # The targets are 0 where their own sensor did not see the window, the scores are not.
    terms = torch.einsum("tubk,sbk->st", targets, scores.sum(1) * shown[..., None])
    return -terms / (2 * scores.shape[1])


def _sum_over_processes(x: Tensor) -> Tensor:
    """Sum of a tensor without gradient over all processes, in place."""
    if dist.world_size() > 1:
        torch.distributed.all_reduce(x)
    return x
