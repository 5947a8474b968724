"""One of two training processes: python joint_process.py RANK PORT FILE OPTIONS.

Saves, for each of several options, the loss of its share of a batch, the gradient as DDP synchronises it, and
DINO's centres.
"""

import json
import sys
from dataclasses import fields

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from xstars_lightning.tasks import XStars
from xstars_lightning.tasks.schedules import Schedules
from xstars_lightning.transforms import Views

WINDOWS = 8
SCHEDULES = Schedules(10, 1e-3, 1e-6, 0.1, (0.04, 0.4), (0.99, 1.0), (0.04, 0.04), 0.1)


class Task(XStars):
    """X-STARS in the middle of a run, without a trainer."""

    schedules = SCHEDULES


class Loss(nn.Module):
    """What DDP wraps: views -> loss."""

    def __init__(self, task):
        super().__init__()
        self.task = task

    def forward(self, views):
        return self.task.losses(views)["train_loss"]


def batch():
    """Windows of two sensors; the second did not see the first three windows."""
    torch.manual_seed(1)
    values = {"image_aerial": torch.rand(WINDOWS, 3, 40, 40), "image_s2": torch.rand(WINDOWS, 12, 20, 20)}
    valid = {"valid_aerial": torch.ones(WINDOWS, 1, 40, 40), "valid_s2": torch.ones(WINDOWS, 1, 20, 20)}
    valid["valid_s2"][:3] = 0
    return values | valid


def share(views, rank, world):
    """The views of some of the windows."""

    def part(x):
        mine = x.unflatten(0, (-1, WINDOWS)).chunk(world, dim=1)[rank]
        return mine.flatten(0, 1)

    return {
        name: Views(**{field.name: part(getattr(v, field.name)) for field in fields(Views)})
        for name, v in views.items()
    }


def compute(options, rank=0, world=1):
    """Loss of a share of the batch, its gradient and DINO's centres afterwards."""
    torch.manual_seed(0)
    small = {"image_size": 32, "local_size": 16, "local_crops": 2, "prototypes": 64, "head_dim": 32}
    task = Task(
        sensors={"aerial": "aerial_rgb", "s2": "sentinel2_l2a"},
        backbone="vit_tiny_patch16_224",
        **(small | options),
        drop_path_rate=0.0,
    )
    views = share(task.views(batch()), rank, world)
    module = Loss(task) if world == 1 else DistributedDataParallel(Loss(task))
    loss = module(views)
    loss.backward()
    gradients = {name: p.grad for name, p in task.named_parameters() if p.requires_grad}
    return {"loss": loss.detach(), "gradients": gradients, "center": task.dino.center}


def main(rank, port, file, options):
    torch.set_num_threads(1)
    rank = int(rank)
    torch.distributed.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    torch.save({name: compute(each, rank, 2) for name, each in json.loads(options).items()}, file)
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
