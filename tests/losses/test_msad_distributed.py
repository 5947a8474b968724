"""Two processes compute the loss of the joint batch."""

import socket

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from xstars_lightning.losses import MSADLoss

WINDOWS, PLACES, WIDTH = 6, 3, 8


def joint_batch():
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, WINDOWS, PLACES, WIDTH, generator=generator)
    return a, b, torch.rand(WINDOWS, PLACES, generator=generator) < 0.7


def worker(rank, port, soft, results):
    dist.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    own = slice(rank * WINDOWS // 2, (rank + 1) * WINDOWS // 2)
    a, b, valid = (x[own] for x in joint_batch())
    a.requires_grad_()
    loss = MSADLoss(soft_targets=soft)(a, b, valid)
    loss.backward()
    results[rank] = (loss.detach().tolist(), a.grad.tolist())
    dist.destroy_process_group()


@pytest.mark.parametrize("soft", [False, True])
def test_mean_over_processes_is_the_loss_of_the_joint_batch(soft):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with mp.get_context("spawn").Manager() as manager:
        results = manager.dict()
        mp.start_processes(worker, (port, soft, results), nprocs=2, start_method="spawn")
        losses, gradients = zip(*(results[rank] for rank in range(2)), strict=True)

    a, b, valid = joint_batch()
    a.requires_grad_()
    expected = MSADLoss(soft_targets=soft)(a, b, valid)
    expected.backward()
    torch.testing.assert_close(torch.tensor(losses).mean(), expected.detach(), atol=1e-6, rtol=0)
    # DDP takes the mean of the processes' gradients, hence the 2.
    torch.testing.assert_close(torch.cat([torch.tensor(g) for g in gradients]) / 2, a.grad, atol=1e-6, rtol=0)
