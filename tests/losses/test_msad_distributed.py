"""Two processes compute the loss of the joint batch."""

import runpy
from pathlib import Path

import pytest
import torch

from xstars_lightning.losses import MSADLoss

PROCESS = Path(__file__).with_name("msad_process.py")


@pytest.mark.parametrize("options", [(), ("soft_targets",), ("image_negatives",)])
def test_mean_over_processes_is_the_loss_of_the_joint_batch(options, processes):
    results = processes(PROCESS, *options)
    a, b, valid = runpy.run_path(str(PROCESS))["joint_batch"]()
    a.requires_grad_()
    expected = MSADLoss(**dict.fromkeys(options, True))(a, b, valid, views=2)
    expected.backward()
    mean = torch.stack([result["loss"] for result in results]).mean()
    torch.testing.assert_close(mean, expected.detach(), atol=1e-6, rtol=0)
    # DDP takes the mean of the processes' gradients, hence the 2.
    gradient = torch.cat([result["gradient"] for result in results]) / 2
    torch.testing.assert_close(gradient, a.grad, atol=1e-6, rtol=0)
