"""The peer for whole steps computes what ours does, and does all that the release does in a step."""

import copy
import math

import lightning.pytorch as pl
import pytest
import torch

from peers.release_step import Crops, ReleaseStep, standardized
from peers.release_update import clip_each, two_groups
from xstars_lightning.sensors import CATALOGUE
from xstars_lightning.tasks import XStars

BACKBONE = "vit_tiny_patch16_224"
SENSORS = {name: CATALOGUE[f"{name}_rgb"] for name in ("aerial", "sentinel2")}


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture
def task():
    """X-STARS whose student has left its teacher, and whose centre has left 0, on endless training."""
    options = {"image_size": 32, "local_size": 16, "local_crops": 3, "prototypes": 64, "head_dim": 32}
    task = XStars(SENSORS, backbone=BACKBONE, drop_path_rate=0.0, **options)
    with torch.no_grad():
        for parameter in (*task.model.parameters(), *task.head.layers.parameters()):
            parameter.add_(0.02 * torch.randn_like(parameter))
        task.dino.center.copy_(0.1 * torch.randn(64))
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    task.trainer = pl.Trainer(accelerator="cpu", max_epochs=-1, max_steps=10, **quiet)
    return task


@pytest.fixture
def views(task):
    batch = {f"image_{name}": torch.rand(4, 3, 40, 40) for name in SENSORS}
    valid = {f"valid_{name}": torch.ones(4, 1, 40, 40, dtype=torch.bool) for name in SENSORS}
    return task.views(batch | valid)


def release_step(**options):
    return ReleaseStep(BACKBONE, 64, head_dim=32, **options)


def inputs(windows=3):
    crops = {
        name: Crops(torch.randn(2 * windows, 3, 32, 32), torch.randn(windows, 3, 16, 16)) for name in SENSORS
    }
    return crops, {name: torch.randn(windows, 3, 32, 32) for name in SENSORS}


def test_release_step_distils_as_ours_in_value_and_gradient(task, views):
    step = release_step()
    step.take(task)
    step.distillation.center.copy_(task.dino.center[0])
    theirs = step.dino(standardized(task.model, views))
    ours = task.losses(views)["train_dino"]
    torch.testing.assert_close(theirs, ours, rtol=1e-4, atol=1e-4)
    assert abs(ours - math.log(64)) > 0.1  # else any two views would do
    (stem,) = task.model.patch_embed.values()
    pairs = (
        (step.student.vit.patch_embed.proj.weight, stem.proj.weight),
        (step.head.last_layer.weight_v, task.head.last_layer.weight_v),
    )
    found = torch.autograd.grad(theirs, [a for a, _ in pairs])
    expected = torch.autograd.grad(ours, [b for _, b in pairs])
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5)
    assert all(x.abs().max() > 1e-3 for x in found)


def test_release_step_works_without_local_crops():
    step, (crops, windows) = release_step(), inputs()
    crops = {name: Crops(x.globals, x.locals[:0]) for name, x in crops.items()}
    assert math.isfinite(step.step(crops, windows))


def test_release_step_runs_under_autocast():
    step, (crops, windows) = release_step().eval(), inputs()
    exact = step.loss(crops, windows)
    step.precision = torch.bfloat16
    rounded = step.loss(crops, windows)
    assert exact != rounded
    torch.testing.assert_close(rounded.float(), exact, rtol=0.05, atol=0)
    assert math.isfinite(step.step(crops, windows))


def test_release_step_adds_alpha_times_the_alignment_of_whole_windows():
    step, (crops, windows) = release_step(alpha=0.5).eval(), inputs()
    expected = step.dino(crops) + 0.5 * step.align(*(step.student(x) for x in windows.values()))
    torch.testing.assert_close(step.loss(crops, windows), expected)
    assert step.alignment(windows) > 0


def test_release_step_trains_everything_but_the_teacher_which_follows_by_one_minus_m():
    step, (crops, windows) = release_step(momentum=0.9), inputs()
    before = copy.deepcopy(step.state_dict())
    step.step(crops, windows)
    trained = [name for name, x in step.named_parameters() if x.requires_grad]
    assert {name.split(".")[0] for name in trained} == {"student", "head", "align"}
    after = step.state_dict()
    assert [name for name in trained if torch.equal(before[name], after[name])] == []
    for student, teacher in (("student.", "teacher."), ("head.", "teacher_head.")):
        for name in (name for name in before if name.startswith(teacher)):
            new = after[student + name.removeprefix(teacher)]
            torch.testing.assert_close(after[name], 0.9 * before[name] + 0.1 * new)


def test_release_step_keeps_a_centre_of_the_teachers_outputs():
    step, (crops, windows) = release_step(), inputs()
    outputs = torch.cat([step.teacher_head(step.teacher(x.globals)[:, 0]) for x in crops.values()])
    step.loss(crops, windows)
    torch.testing.assert_close(step.distillation.center, 0.1 * outputs.mean(0))


def test_release_step_forgets_the_gradients_of_the_step_before():
    step, (crops, windows) = release_step(lr=0.0, momentum=1.0, alpha=0.0).eval(), inputs()
    found = []
    for _ in range(2):
        step.step(crops, windows)
        found.append(step.head.last_layer.weight_v.grad.clone())
    assert 0 < found[0].norm() < 1.4  # else twice of it would be clipped
    torch.testing.assert_close(*found)


def test_release_step_learns():
    step, (crops, windows) = release_step(), inputs()
    losses = [step.step(crops, windows) for _ in range(6)]
    assert losses[-1] < losses[0]


def test_release_step_clips_its_gradients():
    step, (crops, windows) = release_step(alpha=100.0), inputs()
    step.step(crops, windows)
    norms = torch.stack([x.grad.norm() for x in step.parameters() if x.grad is not None])
    assert norms.max() == pytest.approx(3, rel=1e-4)
    assert (norms > 2.99).sum() > 1  # each tensor by itself


def test_gradients_are_clipped_tensor_by_tensor():
    small, large = (torch.nn.Parameter(torch.zeros(2)) for _ in range(2))
    small.grad, large.grad = torch.tensor([0.3, 0.4]), torch.tensor([30.0, 40.0])
    clip_each([small, large, torch.nn.Parameter(torch.zeros(1))])
    torch.testing.assert_close(small.grad, torch.tensor([0.3, 0.4]))
    torch.testing.assert_close(large.grad, torch.tensor([1.8, 2.4]))


def test_biases_and_norms_do_not_decay():
    matrices, vectors = two_groups(release_step().parameters(), 0.04)
    assert (matrices["weight_decay"], vectors["weight_decay"]) == (0.04, 0.0)
    assert {x.ndim > 1 for x in matrices["params"]} == {True}
    assert {x.ndim for x in vectors["params"]} == {1}
