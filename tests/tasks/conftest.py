"""A small X-STARS on random windows of two sensors, and probes on small images in LoveDA's layout."""

import json

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from xstars_lightning.datamodules.segmentation import SegmentationDataModule
from xstars_lightning.tasks import SegmentationProbe, XStars

OPTIONS = {
    "sensors": {"aerial": "aerial_rgb", "s2": "sentinel2_l2a"},
    "backbone": "vit_tiny_patch16_224",
    "image_size": 32,
    "local_size": 16,
    "local_crops": 2,
    "prototypes": 64,
    "head_dim": 32,
}


def windows(count=8):
    generator = torch.Generator().manual_seed(0)
    return [
        {
            "image_aerial": torch.rand(3, 40, 40, generator=generator),
            "valid_aerial": torch.ones(1, 40, 40, dtype=torch.bool),
            "image_s2": torch.rand(12, 20, 20, generator=generator),
            "valid_s2": torch.ones(1, 20, 20, dtype=torch.bool),
        }
        for _ in range(count)
    ]


@pytest.fixture
def make_task():
    def make(**options):
        torch.manual_seed(0)
        return XStars(**(OPTIONS | options))

    return make


@pytest.fixture
def loader():
    return DataLoader(windows(), batch_size=4)


@pytest.fixture
def make_trainer(tmp_path):
    def make(**options):
        defaults = {
            "max_epochs": 1,
            "accelerator": "cpu",
            "logger": False,
            "enable_checkpointing": False,
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "num_sanity_val_steps": 0,
            "default_root_dir": tmp_path,
        }
        return pl.Trainer(**(defaults | options))

    return make


COLOURS = {1: (200, 170, 40), 2: (20, 40, 160), 3: (20, 110, 30)}


@pytest.fixture
def loveda(tmp_path):
    """LoveDA's layout, 64 pixels: quarters in the colours of their classes, one unlabelled."""
    rng = np.random.default_rng(0)
    for split, count in (("Train", 6), ("Val", 3)):
        for scene in ("Urban", "Rural"):
            for number in range(count):
                mask = np.kron(rng.permutation([0, 1, 2, 3]).reshape(2, 2), np.ones((32, 32))).astype(
                    np.uint8
                )
                image = np.zeros((64, 64, 3))
                for value, colour in COLOURS.items():
                    image[mask == value] = colour
                image = np.clip(image + rng.integers(-10, 11, image.shape), 0, 255).astype(np.uint8)
                folder = tmp_path / "data" / split / scene
                for kind, pixels in (("images_png", image), ("masks_png", mask)):
                    (folder / kind).mkdir(parents=True, exist_ok=True)
                    Image.fromarray(pixels).save(folder / kind / f"{number}.png")
    return str(tmp_path / "data")


LOVEDA = {
    "dataset_class": "LoveDA",
    "sensors": {"aerial": "aerial_rgb"},
    "class_names": {1: "field", 2: "lake", 3: "wood"},
    "ignored": [0],
    "splits": {"train": {"split": "train"}, "test": {"split": "val"}},
    "held_out": {"val": 0.2},
    "batch_size": 4,
}


@pytest.fixture
def probe(loveda, tmp_path):
    """Probes the patch tokens of a network on ``loveda``, or on other data; metrics and report."""

    def probe(data=None, **options):
        quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
        trainer = pl.Trainer(accelerator="cpu", devices=1, default_root_dir=tmp_path / "out", **quiet)
        task = SegmentationProbe(**({"weights": "random-convolution"} | options))
        datamodule = SegmentationDataModule(**(LOVEDA | {"root": loveda} | (data or {})))
        (metrics,) = trainer.test(task, datamodule, verbose=False)
        return metrics, json.loads((tmp_path / "out" / "evaluation.json").read_text())

    return probe
