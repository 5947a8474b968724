"""DINO for several sensors does for each what a published implementation does for one."""

from pathlib import Path

import numpy as np
import torch
from lightly.loss import DINOLoss

from xstars_lightning.losses import CrossSensorDINOLoss

LONG_AGO = 1000  # updates after which the centre is a moving average


def test_agrees_with_the_reference_step_by_step():
    file = np.load(Path(__file__).parents[1] / "data" / "ssl4eo_s12_dino.npz")
    reference = {name: torch.from_numpy(file[name]) for name in file.files}
    windows, width, crops = (int(x) for x in reference["meta"][:3])
    loss_function = CrossSensorDINOLoss(1, width)
    loss_function.center.copy_(reference["center_init"])
    loss_function.updates.fill_(LONG_AGO)
    for step in range(3):
        student = reference[f"student_out_{step}"].view(1, crops, windows, width).requires_grad_()
        teacher = reference[f"teacher_out_{step}"].view(1, 2, windows, width)
        (loss,) = loss_function(student, teacher, reference[f"teacher_temp_{step}"].item())
        loss.backward()
        gradient = reference[f"grad_student_{step}"].view_as(student)
        torch.testing.assert_close(loss.detach(), reference[f"loss_{step}"].squeeze(), atol=1e-5, rtol=0)
        torch.testing.assert_close(student.grad, gradient, atol=1e-6, rtol=0)
        center = reference[f"center_after_{step}"]
        torch.testing.assert_close(loss_function.center, center, atol=1e-6, rtol=0)


def test_every_sensor_has_the_loss_and_the_centre_of_lightly():
    torch.manual_seed(0)
    loss_function = CrossSensorDINOLoss(3, 16)
    loss_function.updates.fill_(LONG_AGO)
    theirs = [DINOLoss(16) for _ in range(3)]
    for _ in range(3):
        student, teacher = (torch.randn(3, n, 6, 16) for n in (5, 2))
        student.requires_grad_()
        losses = loss_function(student, teacher, 0.05)
        pairs = zip(theirs, teacher, student, strict=True)
        expected = [loss(list(t), list(s), teacher_temp=0.05) for loss, t, s in pairs]
        torch.testing.assert_close(losses, torch.stack(expected))
        (gradient,) = torch.autograd.grad(losses.sum(), student, retain_graph=True)
        (expected_gradient,) = torch.autograd.grad(sum(expected), student)
        torch.testing.assert_close(gradient, expected_gradient)
        torch.testing.assert_close(loss_function.center, torch.stack([x.center[0, 0] for x in theirs]))
