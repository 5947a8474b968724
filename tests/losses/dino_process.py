"""One of two processes of the distributed test: python dino_process.py RANK PORT FILE [OPTION]."""

import sys

import torch
import torch.distributed as dist

from xstars_lightning.losses import CrossSensorDINOLoss

SENSORS, VIEWS, PROTOTYPES, TEMPERATURE = 4, 4, 8, 0.07
PROCESSES = [slice(0, 2), slice(2, 7)]  # batches of unequal size
# No process shows the last sensor, the first process does not show the third, and only the second
# process has windows of both the second and the third.
PRESENT = [[1, 1, 0, 1, 0, 1, 1], [0, 1, 1, 0, 1, 1, 0], [0, 0, 1, 0, 1, 0, 1], [0, 0, 0, 0, 0, 0, 0]]


def joint_batch():
    generator = torch.Generator().manual_seed(0)
    windows = len(PRESENT[0])
    student = torch.randn(SENSORS, VIEWS, windows, PROTOTYPES, generator=generator)
    teacher = torch.randn(SENSORS, 2, windows, PROTOTYPES, generator=generator)
    return student, teacher, torch.tensor(PRESENT, dtype=torch.bool)


def main(rank, port, file, *options):
    dist.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=int(rank), world_size=2)
    own = PROCESSES[int(rank)]
    student, teacher, present = joint_batch()
    student = student[:, :, own].requires_grad_()
    loss_function = CrossSensorDINOLoss(SENSORS, PROTOTYPES, **dict.fromkeys(options, True))
    losses = loss_function(student, teacher[:, :, own], TEMPERATURE, present[:, own])
    losses.sum().backward()
    torch.save(
        {"losses": losses.detach(), "gradient": student.grad, **loss_function.state_dict()},
        file,
    )
    dist.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
