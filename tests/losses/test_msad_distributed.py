"""Two processes compute the loss of the joint batch."""

import runpy
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from xstars_lightning.losses import MSADLoss

PROCESS = Path(__file__).with_name("msad_process.py")


@pytest.mark.parametrize("soft", [0, 1])
def test_mean_over_processes_is_the_loss_of_the_joint_batch(soft, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    files = [tmp_path / f"{rank}.pt" for rank in range(2)]
    commands = [
        [sys.executable, str(PROCESS), *map(str, (rank, port, soft, file))] for rank, file in enumerate(files)
    ]
    processes = [subprocess.Popen(command) for command in commands]
    assert [process.wait(timeout=120) for process in processes] == [0, 0]
    results = [torch.load(file) for file in files]

    a, b, valid = runpy.run_path(str(PROCESS))["joint_batch"]()
    a.requires_grad_()
    expected = MSADLoss(soft_targets=bool(soft))(a, b, valid)
    expected.backward()
    mean = torch.stack([result["loss"] for result in results]).mean()
    torch.testing.assert_close(mean, expected.detach(), atol=1e-6, rtol=0)
    # DDP takes the mean of the processes' gradients, hence the 2.
    gradient = torch.cat([result["gradient"] for result in results]) / 2
    torch.testing.assert_close(gradient, a.grad, atol=1e-6, rtol=0)
