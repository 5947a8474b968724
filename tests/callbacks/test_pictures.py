"""Pictures are written, and drawing them leaves training as it is."""

from types import SimpleNamespace

import lightning.pytorch as pl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from xstars_lightning.callbacks import Pictures
from xstars_lightning.callbacks.pictures import plot_tokens, plot_views
from xstars_lightning.sensors import resolve_sensors
from xstars_lightning.transforms import MultiCrop

SENSORS = resolve_sensors({"aerial": "aerial_rgb", "s2": "sentinel2_l2a"})
BATCH = {
    "image_aerial": torch.rand(3, 3, 40, 40),
    "valid_aerial": torch.ones(3, 1, 40, 40, dtype=torch.bool),
    "image_s2": torch.rand(3, 12, 20, 20),
    "valid_s2": torch.ones(3, 1, 20, 20, dtype=torch.bool),
}


@pytest.fixture
def trainer(tmp_path):
    return SimpleNamespace(
        is_global_zero=True, global_step=0, sanity_checking=False, current_epoch=0, log_dir=str(tmp_path)
    )


@pytest.fixture
def task():
    views = MultiCrop(SENSORS, dict.fromkeys(SENSORS, 32), dict.fromkeys(SENSORS, 16), 2)
    return SimpleNamespace(sensors=SENSORS, views=views, device=torch.device("cpu"))


def test_views_are_drawn_once_and_cost_no_random_number(trainer, task, tmp_path):
    pl.seed_everything(0)
    expected = torch.rand(1)
    pl.seed_everything(0)
    pictures = Pictures()
    pictures.setup(trainer, task, "fit")
    pictures.on_train_batch_start(trainer, task, BATCH, 0)
    assert torch.equal(torch.rand(1), expected)
    trainer.global_step = 1
    (tmp_path / "pictures" / "views.png").unlink()
    pictures.on_train_batch_start(trainer, task, BATCH, 1)
    assert list((tmp_path / "pictures").iterdir()) == []


def test_tokens_are_drawn_every_nth_epoch(trainer, task, tmp_path):
    tokens = {name: torch.randn(3, 5, 16) for name in SENSORS}
    pictures = Pictures(every_n_epochs=2)
    pictures.setup(trainer, task, "fit")
    for epoch in range(4):
        trainer.current_epoch, trainer.global_step = epoch, 10 * (epoch + 1)
        for index in range(2):
            pictures.on_validation_batch_end(trainer, task, tokens, BATCH, index)
    assert sorted(p.name for p in (tmp_path / "pictures").iterdir()) == [
        "tokens_000020.png",
        "tokens_000040.png",
    ]


def test_a_place_has_the_same_colour_in_aligned_sensors():
    tokens = torch.randn(3, 5, 16)
    figure = plot_tokens(BATCH, {"aerial": tokens, "s2": tokens}, SENSORS, 2)
    pictures = [axis.get_images()[0].get_array() for axis in figure.axes]
    np.testing.assert_allclose(pictures[2], pictures[6])
    assert pictures[2].shape == (2, 2, 3)
    plt.close(figure)


def test_views_have_a_row_per_view_and_sensor(task):
    figure = plot_views(task.views(BATCH), SENSORS, 3)
    labels = [axis.get_ylabel() for axis in figure.axes if axis.get_ylabel()]
    assert labels[:3] == ["aerial\nglobal 1", "s2\nglobal 1", "aerial\nglobal 2"]
    assert len(labels) == 8
    plt.close(figure)
