"""The step that is timed is the one that the trainer takes."""

import torch

from ours import SENSORS, OurStep, batch

SMALL = {"prototypes": 64, "image_size": 32, "local_size": 16, "local_crops": 2, "head_dim": 32}


def test_a_step_trains_the_student_and_moves_the_teacher():
    torch.manual_seed(0)
    step = OurStep("vit_tiny_patch16_224", **SMALL)
    task = step.task
    student, teacher = (next(iter(x.trunk.blocks.parameters())) for x in (task.model, task.teacher))
    before, taught = student.clone(), teacher.clone()
    loss = step(task.views(batch(SENSORS, 4, 40)))
    assert loss > 0
    assert not torch.equal(student, before)
    torch.testing.assert_close(teacher, torch.lerp(taught, student, 0.004))


def test_sensors_see_the_same_ground():
    windows = batch(SENSORS, 2, 16)
    one, other = (windows[f"image_{name}"].mean(1).flatten(1) for name in SENSORS)
    assert all(torch.corrcoef(torch.stack(pair))[0, 1] > 0.99 for pair in zip(one, other, strict=True))
