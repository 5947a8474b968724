"""Batches of chips: split by groups, checked before training, resumed where they were left."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from lightning.pytorch import LightningModule, Trainer
from PIL import Image

from xstars_lightning.datamodules import AlignedStacksDataModule, MSCFranceDataModule

RECIPES = Path(__file__).parents[2] / "datamodules"
QUIET = {
    "accelerator": "cpu",
    "logger": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "enable_checkpointing": False,
    "num_sanity_val_steps": 0,
    "limit_val_batches": 1,
}
OWN = {"name": "own", "bands": ["red", "green", "blue"], "value_range": [0, 255]}
OWN |= {"mean": [0.5, 0.5, 0.5], "std": [0.3, 0.3, 0.3]}
SENSORS = {"spot": OWN | {"resolution": 1.5}, "sentinel2": OWN | {"resolution": 10}}


@pytest.fixture
def root(tmp_path):
    """Four cities of five tiles of 180 m, noise in 1 to 255."""
    rng = np.random.default_rng(0)
    for city in ("Bordeaux", "Grenoble", "Lyon", "Toulouse"):
        for folder, side in (("SPOT", 120), ("Sentinel", 18)):
            (tmp_path / folder / city).mkdir(parents=True)
            for number in range(5):
                pixels = rng.integers(1, 255, (side, side, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / folder / city / f"{number}.png")
    return tmp_path


def module(root, **changes):
    defaults = {
        "sensors": SENSORS,
        "window": 100,
        "batch_size": 4,
        "windows_per_epoch": 13,
        "val_fraction": 0.25,
    }
    return MSCFranceDataModule(str(root), **(defaults | changes))


class Recorder(LightningModule):
    """Notes the chips it trains on."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen = []

    def training_step(self, batch, batch_idx):
        self.seen.append(batch["image_spot"].sum((1, 2, 3)).tolist())
        return self.weight**2

    def validation_step(self, batch, batch_idx):
        self.log("val_loss", batch["image_sentinel2"].mean())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


def fit(root, ckpt_path=None, save=None, **options):
    model, loop = Recorder(), Trainer(**QUIET, **options, default_root_dir=root)
    loop.fit(model, module(root), ckpt_path=ckpt_path)
    if save:
        loop.save_checkpoint(save)
    return model.seen


def test_notebook(root):
    dm = module(root)
    dm.setup("fit")
    batch = next(iter(dm.train_dataloader()))
    assert batch["image_spot"].shape == (4, 3, 80, 80)
    assert batch["image_sentinel2"].shape == (4, 3, 12, 12)
    assert batch["valid_spot"].all()
    assert 0 <= batch["image_spot"].min() < batch["image_spot"].max() <= 1
    assert dm.window == 120
    assert len(dm.plot(batch).axes) == 8


def test_whole_cities_are_held_out(root):
    dm = module(root)
    dm.setup("fit")
    groups = dm.dataset.groups
    trained = {groups[number] for number, _ in dm.train_sampler.since(0)}
    validated = {groups[number] for number in dm.val_sampler}
    assert len(trained) == 3
    assert len(validated) == 1
    assert trained.isdisjoint(validated)
    assert sum(len(batch["image_spot"]) for batch in dm.val_dataloader()) == 5


def test_validation_sees_the_same_chips_in_the_middle(root):
    first, again = (torch.cat([b["image_spot"] for b in ready(root).val_dataloader()]) for _ in range(2))
    torch.testing.assert_close(first, again)


def ready(root):
    dm = module(root)
    dm.setup("validate")
    return dm


def test_no_validation(root):
    dm = module(root, val_fraction=0)
    dm.setup("fit")
    assert dm.val_dataloader() == []
    assert {number for number, _ in dm.train_sampler.since(0)} <= set(range(20))


def test_statistics_far_off_warn_with_yaml_to_paste(root):
    wrong = SENSORS | {"spot": SENSORS["spot"] | {"mean": [0.01] * 3, "std": [0.02] * 3}}
    with pytest.warns(UserWarning, match="Sensor 'spot': its pixels are far") as caught:
        module(root, sensors=wrong).setup("fit")
    pasted = yaml.safe_load(str(caught[0].message).split("\n", 1)[1])
    assert pasted["mean"] == pytest.approx([0.5] * 3, abs=0.02)


def test_a_missing_tile_reaches_the_batch_as_invalid(root):
    for city in ("Bordeaux", "Grenoble", "Lyon", "Toulouse"):
        (root / "Sentinel" / city / "0.png").unlink()
    with pytest.raises(ValueError, match="do not match"):
        module(root).setup("fit")
    dm = module(root, min_sensors=1, batch_size=13)
    dm.setup("fit")
    batch = next(iter(dm.train_dataloader()))
    seen = batch["valid_sentinel2"].flatten(1).all(1)
    assert 0 < seen.sum() < 13
    assert not batch["image_sentinel2"][~seen].any()


@pytest.mark.parametrize("stop", [2, 3, 5])
def test_a_run_goes_on_where_it_stopped(stop, root, tmp_path):
    whole = fit(root, max_steps=8)
    before = fit(root, max_steps=stop, save=tmp_path / "a.ckpt")
    assert before + fit(root, max_steps=8, ckpt_path=tmp_path / "a.ckpt") == whole
    assert whole[:3] != whole[3:6]


@pytest.mark.filterwarnings("error:Sensor")
def test_the_recipe_of_the_real_stacks_fits_them(real_data):
    recipe = yaml.safe_load((RECIPES / "chesapeake_patches.yaml").read_text())["init_args"]
    changes = {"root": str(real_data / "chesapeake_patches"), "windows_per_epoch": 16, "window": 120}
    dm = AlignedStacksDataModule(**recipe | changes)
    dm.setup("fit")
    batch = next(iter(dm.train_dataloader()))
    assert batch["image_naip"].shape == (8, 4, 120, 120)
    assert batch["image_landsat"].shape == (8, 7, 4, 4)
    assert len(dm.val_sampler) == 8  # one of two orthophotos
