"""Peer: DINO's loss as its authors publish it, a loop over views with one centre."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["PlainDINO"]


class PlainDINO(nn.Module):
    """Cross-entropy between every view of the teacher and every other view of the student [0].

    Args:
        prototypes: Outputs K of the head.
        student_temperature: Divides the student's outputs.
        teacher_temperature: Divides the teacher's centred outputs.
        center_momentum: Share of the centre that a step keeps.

    References:
        [0]: DINO, 2021, https://arxiv.org/abs/2104.14294
    """

    center: Tensor

    def __init__(
        self,
        prototypes: int,
        student_temperature: float = 0.1,
        teacher_temperature: float = 0.04,
        center_momentum: float = 0.9,
    ) -> None:
        super().__init__()
        self.student_temperature = student_temperature
        self.teacher_temperature = teacher_temperature
        self.center_momentum = center_momentum
        self.register_buffer("center", torch.zeros(prototypes))

    def forward(self, student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Tensor:
        """Mean over pairs of different views and over the windows; leaves the centre as it is.

        Args:
            student: Outputs (B, K) of every view, those of the teacher's views first.
            teacher: Outputs (B, K) of its two views; they receive no gradient.

        Returns:
            Scalar.
        """
        total, pairs = student[0].new_zeros(()), 0
        for target_view, target in enumerate(teacher):
            probability = ((target.detach() - self.center) / self.teacher_temperature).softmax(dim=-1)
            for view, answer in enumerate(student):
                if view == target_view:
                    continue
                score = (answer / self.student_temperature).log_softmax(dim=-1)
                total = total - (probability * score).sum(dim=-1).mean()
                pairs += 1
        return total / pairs

    @torch.no_grad()
    def move_center(self, teacher: Tensor) -> None:
        """Move the centre towards the mean of the teacher's outputs of a step, (M, K)."""
        mean = teacher.mean(dim=0)
        self.center.mul_(self.center_momentum).add_(mean * (1 - self.center_momentum))
