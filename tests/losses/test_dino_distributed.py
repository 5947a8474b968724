"""Two processes with unequal numbers of windows compute the loss of the joint batch."""

import runpy
from pathlib import Path

import pytest
import torch

from xstars_lightning.losses import CrossSensorDINOLoss

PROCESS = Path(__file__).with_name("dino_process.py")


@pytest.mark.parametrize("options", [(), ("cross_sensor",)])
def test_mean_over_processes_is_the_loss_of_the_joint_batch(options, processes):
    results = processes(PROCESS, *options)
    script = runpy.run_path(str(PROCESS))
    student, teacher, present = script["joint_batch"]()
    student.requires_grad_()
    loss_function = CrossSensorDINOLoss(len(student), student.shape[-1], **dict.fromkeys(options, True))
    expected = loss_function(student, teacher, script["TEMPERATURE"], present)
    expected.sum().backward()

    mean = torch.stack([result["losses"] for result in results]).mean(0)
    torch.testing.assert_close(mean, expected.detach(), atol=1e-5, rtol=0)
    # DDP takes the mean of the processes' gradients, hence the 2.
    gradient = torch.cat([result["gradient"] for result in results], dim=2) / 2
    torch.testing.assert_close(gradient, student.grad, atol=1e-6, rtol=0)
    for result in results:
        torch.testing.assert_close(result["center"], loss_function.center, atol=1e-6, rtol=0)
        assert result["updates"].tolist() == [1, 1, 1, 0]
