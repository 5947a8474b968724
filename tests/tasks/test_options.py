"""Every option of X-STARS does what it says, and trains."""

import copy

import lightning.pytorch as pl
import pytest
import torch
from torch.utils.data import DataLoader

from xstars_lightning.tasks.token_views import encode_views

OPTIONS = {
    "image_negatives": {"image_negatives": False},
    "class_token": {"align_class_token": False},
    "teacher": {"align_target": "teacher"},
    "locals": {"align_locals": True},
    "cross_sensor": {"cross_sensor_dino": True},
    "alpha_warmup": {"alpha_warmup": 1.0},
    "smoothing": {"label_smoothing": 0.1},
    "no_locals": {"local_crops": 0},
    "native": {"image_size": {"aerial": 64, "s2": 32}, "local_size": {"aerial": 32, "s2": 16}},
}


class Losses(pl.Callback):
    """Keeps the losses of each step, and which parameters went without gradient."""

    def __init__(self):
        self.steps, self.without, self.finite = [], set(), True

    def on_after_backward(self, trainer, task):
        self.finite &= all(bool(p.grad.isfinite().all()) for p in task.parameters() if p.grad is not None)
        self.without.update(n for n, p in task.named_parameters() if p.requires_grad and p.grad is None)

    def on_train_batch_end(self, trainer, task, *_):
        self.steps.append({name: float(value) for name, value in trainer.callback_metrics.items()})


@pytest.fixture
def train(make_task, make_trainer, loader):
    def run(data=loader, **options):
        seen = Losses()
        make_trainer(callbacks=[seen]).fit(make_task(**options), data)
        return seen

    return run


@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_changes_the_loss_and_leaves_no_parameter_without_gradient(name, train):
    with_it, without = train(**OPTIONS[name]), train()
    assert with_it.without == set()
    assert with_it.steps[0]["train_loss"] != pytest.approx(without.steps[0]["train_loss"], rel=1e-5)


def test_alpha_rises_over_its_warm_up(train):
    first, second = train(alpha=2.0, alpha_warmup=1.0).steps
    assert first["train_loss"] == pytest.approx(first["train_dino"])
    assert second["train_loss"] == pytest.approx(second["train_dino"] + 2.0 * 0.5 * second["train_align"])


def test_the_teacher_as_target_takes_no_gradient_and_both_directions_count(make_task, loader):
    task = make_task(align_target="teacher")
    views = task.views(next(iter(loader)))
    student, teacher = (encode_views(x, views, "globals", task.learned) for x in (task.model, task.teacher))
    losses = task._align({"globals": student}, teacher, views)
    assert set(losses) == {("aerial", "s2"), ("s2", "aerial")}
    sum(losses.values()).backward()
    assert all(p.grad is None for p in task.teacher.parameters())
    assert all(p.grad is not None for p in task.model.patch_embed.parameters())


def test_negatives_of_this_process_alone(make_task):
    assert make_task().alignment.loss.gather_distributed
    assert not make_task(gather_negatives=False).alignment.loss.gather_distributed


def as_loader(batch):
    return DataLoader([batch], batch_size=None)


def absent(loader, value):
    """The first batch, in which s2 did not see the first window."""
    batch = copy.deepcopy(next(iter(loader)))
    batch["valid_s2"][0] = False
    batch["image_s2"][0] = value
    return as_loader(batch)


def test_a_sensor_missing_in_a_window_takes_no_part_in_it(train, loader):
    """Whatever stands in its place; and the window serves the sensors that are there."""
    zeros, garbage = (train(data=absent(loader, value)) for value in (0.0, float("nan")))
    assert zeros.steps[0] == pytest.approx(garbage.steps[0])
    assert garbage.finite
    zeros = zeros.steps[0]
    whole = train(data=as_loader(next(iter(loader)))).steps[0]
    assert zeros["train_dino_aerial"] == pytest.approx(whole["train_dino_aerial"])
    assert zeros["train_dino_s2"] != pytest.approx(whole["train_dino_s2"])


def test_four_sensors_of_one_to_thirteen_bands_train(make_task, make_trainer):
    one = {"name": "pan", "bands": ["pan"], "resolution": 1, "value_range": [0, 255], "mean": [0.5]}
    one |= {"std": [0.2], "rgb_bands": ["pan", "pan", "pan"]}
    sensors = {"pan": one, "aerial": "aerial_rgb", "naip": "naip_rgbn", "s2": "sentinel2_l1c"}
    task = make_task(sensors=sensors)
    batch = {}
    for name, sensor in task.sensors.items():
        batch[f"image_{name}"] = torch.rand(4, len(sensor.bands), 24, 24)
        batch[f"valid_{name}"] = torch.ones(4, 1, 24, 24, dtype=torch.bool)
    trainer = make_trainer()
    trainer.fit(task, as_loader(batch))
    pairs = [name for name in trainer.callback_metrics if name.startswith("train_align_")]
    assert len(pairs) == 6
    assert trainer.callback_metrics["train_loss"].isfinite()
