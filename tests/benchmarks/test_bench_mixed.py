"""What is measured in bf16 is what is measured in float32 too."""

import pytest
import torch

from bench_alignment import ways_of
from bench_mixed import largest_costs
from ours import SENSORS, OurStep, batch

SMALL = {"image_size": 32, "local_size": 16, "local_crops": 2, "head_dim": 32}


@pytest.fixture(scope="module")
def ways():
    return {
        precision: ways_of("vit_tiny_patch16_224", 2, precision=precision)
        for precision in (None, torch.bfloat16)
    }


@pytest.mark.parametrize("way", ["release", "same", "ours", "in a step"])
def test_bf16_gives_nearly_the_same_losses(ways, way):
    exact, rounded = (float(ways[precision][way]()) for precision in (None, torch.bfloat16))
    assert exact != rounded
    assert rounded == pytest.approx(exact, rel=0.05)


def test_the_loop_and_its_batched_form_are_one_function(ways):
    torch.testing.assert_close(ways[None]["release"](), ways[None]["same"]())


def test_a_step_in_bf16_has_nearly_the_same_loss():
    losses = []
    for precision in (None, torch.bfloat16):
        torch.manual_seed(0)
        step = OurStep("vit_tiny_patch16_224", prototypes=64, precision=precision, **SMALL)
        losses.append(step(step.task.views(batch(SENSORS, 4, 40))))
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=0.05)


def test_the_largest_cost_comes_first():
    a = torch.randn(256, 256)
    costs = largest_costs(lambda: [a @ a for _ in range(50)] and float(a.relu().sum()))
    assert costs.startswith("aten::mm ")
    assert costs.count("%") == 3
