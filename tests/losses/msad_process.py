"""One of two processes of the distributed test: python msad_process.py RANK PORT FILE [OPTION]."""

import sys

import torch
import torch.distributed as dist

from xstars_lightning.losses import MSADLoss

WINDOWS, PLACES, WIDTH = 6, 4, 8


def joint_batch():
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, WINDOWS, PLACES, WIDTH, generator=generator)
    return a, b, torch.rand(WINDOWS, PLACES, generator=generator) < 0.7


def main(rank, port, file, *options):
    dist.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=int(rank), world_size=2)
    own = slice(int(rank) * WINDOWS // 2, (int(rank) + 1) * WINDOWS // 2)
    a, b, valid = (x[own] for x in joint_batch())
    a.requires_grad_()
    loss = MSADLoss(**dict.fromkeys(options, True))(a, b, valid, views=2)
    loss.backward()
    torch.save({"loss": loss.detach(), "gradient": a.grad}, file)
    dist.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
