"""Two processes compute what one computes on their joint batch."""

import json
import runpy
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).with_name("joint_process.py")
OPTIONS = {
    "default": {},
    "DINO alone": {"alpha": 0.0},
    "other terms": {"image_negatives": False, "cross_sensor_dino": True, "align_locals": True},
    "native grids, teacher as target": {"align_target": "teacher", "image_size": {"aerial": 64, "s2": 32}},
    "not gathered": {"gather_negatives": False},
}


def test_losses_gradients_and_centres_are_those_of_the_joint_batch(processes):
    both = processes(SCRIPT, json.dumps(OPTIONS))
    compute = runpy.run_path(str(SCRIPT))["compute"]
    for name, options in OPTIONS.items():
        alone, parts = compute(options), [process[name] for process in both]
        loss = sum(part["loss"] for part in parts) / 2
        if name == "not gathered":
            assert abs(loss - alone["loss"]) > 1e-3  # of half the negatives
            continue
        torch.testing.assert_close(loss, alone["loss"], rtol=0, atol=1e-5, msg=name)
        # the encoder with its stems, and both heads
        trained = {"model", "head"} | ({"alignment"} if options.get("alpha", 1) else set())
        assert {key.split(".")[0] for key in alone["gradients"]} == trained
        for key, gradient in alone["gradients"].items():
            assert torch.equal(parts[0]["gradients"][key], parts[1]["gradients"][key])
            torch.testing.assert_close(
                parts[0]["gradients"][key], gradient, rtol=1e-3, atol=1e-6, msg=f"{name}: {key}"
            )
        torch.testing.assert_close(parts[0]["center"], alone["center"], rtol=1e-5, atol=1e-6)


@pytest.fixture(autouse=True)
def one_thread():
    """As in the processes, so that sums are in one order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
