"""Two processes compute what one computes on their joint batch."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).with_name("joint_process.py")


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def compute(folder, world, options):
    port, files = free_port(), [folder / f"{world}-{rank}.pt" for rank in range(world)]
    commands = [
        [sys.executable, *map(str, (SCRIPT, rank, port, file, world, json.dumps(options)))]
        for rank, file in enumerate(files)
    ]
    processes = [subprocess.Popen(command) for command in commands]
    assert [process.wait(timeout=120) for process in processes] == [0] * world
    return [torch.load(file) for file in files]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"alpha": 0.0},
        {"image_negatives": False, "cross_sensor_dino": True, "align_locals": True},
        {"align_target": "teacher", "image_size": {"aerial": 64, "s2": 32}},
    ],
    ids=["default", "DINO alone", "options", "native"],
)
def test_losses_gradients_and_centres_are_those_of_the_joint_batch(options, tmp_path):
    (alone,) = compute(tmp_path, 1, options)
    both = compute(tmp_path, 2, options)
    loss = sum(part["loss"] for part in both) / 2
    torch.testing.assert_close(loss, alone["loss"], rtol=0, atol=1e-5)
    parts = {name.split(".")[0] for name in alone["gradients"]}
    # the encoder with its stems, and both heads
    assert parts == {"model", "head"} | ({"alignment"} if options.get("alpha", 1) else set())
    for part in both:
        torch.testing.assert_close(part["center"], alone["center"], rtol=1e-5, atol=1e-6)
        for name, gradient in alone["gradients"].items():
            torch.testing.assert_close(part["gradients"][name], gradient, rtol=1e-3, atol=1e-6, msg=name)
    assert all(
        torch.equal(both[0]["gradients"][name], both[1]["gradients"][name]) for name in both[0]["gradients"]
    )


def test_negatives_that_are_not_gathered_are_those_of_each_process(tmp_path):
    options = {"gather_negatives": False}
    (alone,) = compute(tmp_path, 1, options)
    both = compute(tmp_path, 2, options)
    assert abs(sum(part["loss"] for part in both) / 2 - alone["loss"]) > 1e-3
