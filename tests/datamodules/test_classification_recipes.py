"""Every recipe for classification on a tiny set of files in the layout of the real one."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasterio
import torch
import yaml
from PIL import Image
from torchgeo.datasets import RESISC45, BigEarthNet, PatternNet, UCMerced

from xstars_lightning.cli import main
from xstars_lightning.datamodules import ClassificationDataModule
from xstars_lightning.evaluation.files import paths_of
from xstars_lightning.models import load_encoder

ROOT = Path(__file__).parents[2]
SPLITS = ("train", "val", "test")
S2_BANDS = {
    **{f"B{number:02d}": 60 for number in (5, 6, 7, 11, 12)},
    **{f"B{number:02d}": 120 for number in (2, 3, 4, 8)},
    **{"B01": 20, "B09": 20, "B8A": 60},
}
rng = np.random.default_rng(0)

pytestmark = [
    pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning"),
    pytest.mark.filterwarnings("ignore:No weights given"),
]


def image(path, side=32):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8)).save(path)


def band(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(path, "w", "GTiff", *pixels.shape[::-1], 1, dtype=pixels.dtype) as file:
        file.write(pixels, 1)


def resisc45(root):
    for position, split in enumerate(SPLITS):
        names = [f"{name}_{position + 1:03d}.jpg" for name in ("airplane", "sea_ice", "wetland")]
        for name in names:
            image(root / RESISC45.directory / name.rsplit("_", 1)[0] / name)
        (root / f"resisc45-{split}.txt").write_text("\n".join(names) + "\n")


def ucmerced(root):
    for position, split in enumerate(SPLITS):
        names = [f"{name}{position:02d}.tif" for name in ("agricultural", "river", "runway")]
        for name in names:
            image(root / UCMerced.base_dir / name[:-6] / name, side=250 + position)
        (root / UCMerced.split_filenames[split]).write_text("\n".join(names) + "\n")


def ucmerced_jpg(root):
    """The lists divide what the folders mean otherwise."""
    (root / "splits_aitlas").mkdir(parents=True)
    for position, split in enumerate(SPLITS):
        rows = [f"{name}/{name}{position:02d}" for name in ("agricultural", "river", "runway")]
        for number, row in enumerate(rows):
            image(root / ("test" if number else "train") / f"{row}.jpg", side=40 - number)
        lines = [f"{row}.tif,{row.split('/')[0]}" for row in rows]
        (root / "splits_aitlas" / f"ucmerced_{split}.csv").write_text("\n".join(lines) + "\n")


# Of 19 classes, each in one or two of four patches.
LABELS = [BigEarthNet.class_sets[19][number::4] + ["Pastures"][: number % 2] for number in range(4)]


def bigearthnet(root, bands=S2_BANDS):
    rows = []
    for position, split in enumerate(("train", "validation", "test")):
        for number, labels in enumerate(LABELS):
            scene = "S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP"
            patch, place = f"{scene}_{len(rows)}_57", f"33UUP_{len(rows)}_57"
            partner = f"S1A_IW_GRDH_1SDV_20170613T165043_{place}"
            for name, side in bands.items():
                value = 1000 * number + 20 * position + list(S2_BANDS).index(name)
                pixels = np.full((side, side), value, np.uint16)
                band(root / "BigEarthNet-S2" / scene / patch / f"{patch}_{name}.tif", pixels)
            for name in ("VV", "VH"):
                pixels = np.full((120, 120), -10.0 if name == "VV" else -20.0, np.float32)
                folder = root / "BigEarthNet-S1" / "S1A_IW_GRDH_1SDV_20170613T165043" / partner
                band(folder / f"{partner}_{name}.tif", pixels)
            rows.append({"patch_id": patch, "labels": labels, "split": split, "s1_name": partner})
    pd.DataFrame(rows).to_parquet(root / "metadata.parquet")


WRITERS = {
    "resisc45": resisc45,
    "ucmerced": ucmerced,
    "ucmerced_jpg": ucmerced_jpg,
    "bigearthnet": bigearthnet,
}


@pytest.fixture
def write(tmp_path):
    def write(name):
        (tmp_path / name).mkdir()
        WRITERS[name](tmp_path / name)
        return tmp_path / name

    return write


def opened(recipe, root, **changes):
    arguments = yaml.safe_load((ROOT / "datamodules" / f"{recipe}.yaml").read_text())["init_args"]
    changes = {"num_workers": 0, **changes}
    datamodule = ClassificationDataModule(**{**arguments, **changes, "root": str(root)})
    for stage in ("fit", "test"):
        datamodule.setup(stage)
    return datamodule


# Images per split, shape of an image.
EXPECTED = {
    "resisc45": (3, (3, 32, 32)),
    "ucmerced": (3, (3, 256, 256)),
    "ucmerced_jpg": (3, (3, 256, 256)),
    "bigearthnet": (4, (12, 120, 120)),
}


@pytest.mark.parametrize("recipe", EXPECTED)
def test_every_recipe_reads_the_real_layout(recipe, write):
    datamodule = opened(recipe, write(recipe))
    count, shape = EXPECTED[recipe]
    loaders = [datamodule.train_dataloader(), datamodule.val_dataloader(), datamodule.test_dataloader()]
    for loader in loaders:
        batch = next(iter(loader))
        assert batch["image"].shape == (count, *shape)
        assert batch["image"].dtype == torch.float32
        assert 0 <= batch["image"].min() < batch["image"].max() <= 1
        assert batch["label"].dtype == torch.long
    names = [{*loader.dataset.names} for loader in loaders]
    assert len(set.union(*names)) == 3 * count
    files = [file for loader in loaders for several in loader.dataset.files for file in paths_of(several)]
    assert all(file.is_file() for file in files)
    assert len({*files}) == 3 * count * (12 if recipe == "bigearthnet" else 1)


@pytest.mark.parametrize("recipe", ["resisc45", "ucmerced", "ucmerced_jpg"])
def test_labels_are_those_of_the_folders(recipe, write):
    datamodule = opened(recipe, write(recipe))
    assert len(datamodule.class_names) == 3
    batch, dataset = next(iter(datamodule.test_dataloader())), datamodule.test_dataset
    folders = [file.parent.name for file in dataset.files]
    assert [datamodule.class_names[label] for label in batch["label"]] == folders
    assert dataset.targets.tolist() == batch["label"].tolist()


def test_the_example_of_the_documentation_reads_any_dataset_of_torchgeo(tmp_path):
    blocks = (ROOT / "docs" / "tasks.md").read_text().split("```")
    example = yaml.safe_load(next(block for block in blocks if block.startswith("yaml")).removeprefix("yaml"))
    for name in ("airplane", "beach"):
        for number in range(10):
            image(tmp_path / PatternNet.directory / name / f"{name}{number:03d}.jpg")
    datamodule = ClassificationDataModule(**example["init_args"] | {"root": str(tmp_path)})
    for stage in ("fit", "test"):
        datamodule.setup(stage)
    counts = [getattr(datamodule, f"{split}_dataset").targets.bincount().tolist() for split in SPLITS]
    assert counts == [[6, 6], [2, 2], [2, 2]]
    assert datamodule.class_names == ["airplane", "beach"]


def test_lists_divide_the_copies_of_uc_merced(write):
    datamodule = opened("ucmerced_jpg", write("ucmerced_jpg"))
    expected = {"train/agricultural/agricultural02.jpg", "test/river/river02.jpg", "test/runway/runway02.jpg"}
    assert {*datamodule.test_dataset.names} == expected


def test_bigearthnet_has_several_labels_and_the_bands_of_its_sensor(write):
    datamodule = opened("bigearthnet", write("bigearthnet"), shuffled=False)
    batch = next(iter(datamodule.test_dataloader()))
    found = [[datamodule.class_names[i] for i in row.nonzero()[:, 0]] for row in batch["label"]]
    assert [sorted(row) for row in found] == [sorted(row) for row in LABELS]
    assert torch.equal(datamodule.test_dataset.targets, batch["label"])
    in_sensor = ["B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12"]
    expected = torch.tensor([(3040 + list(S2_BANDS).index(name)) / 10000 for name in in_sensor])
    torch.testing.assert_close(batch["image"][3].mean(dim=(1, 2)), expected)


def test_bigearthnet_of_both_sensors(write):
    radar = {"name": "s1", "bands": ["vh", "vv"], "resolution": 10, "value_range": [-50, 10]}
    radar |= {"mean": [0.5, 0.5], "std": [0.1, 0.1], "rgb_bands": ["vv", "vh", "vv"]}
    sensors = {"s1": radar, "s2": "sentinel2_l2a"}
    root = write("bigearthnet")
    datamodule = opened("bigearthnet", root, options={"bands": "all"}, sensors=sensors)
    batch = next(iter(datamodule.test_dataloader()))
    assert batch["image_s2"].shape == (4, 12, 120, 120)
    torch.testing.assert_close(batch["image_s1"][0, :, 0, 0], torch.tensor([30 / 60, 40 / 60]))
    alone = opened("bigearthnet", root, options={"bands": "s1"}, sensors={"s1": radar})
    assert [len(files) for files in datamodule.test_dataset.files] == [14] * 4
    assert [file.name[-7:] for file in alone.test_dataset.files[0]] == ["_VV.tif", "_VH.tif"]
    assert next(iter(alone.test_dataloader()))["image"].shape == (4, 2, 120, 120)


def test_a_missing_band_of_bigearthnet_is_named(write):
    root = write("bigearthnet")
    datamodule = opened("bigearthnet", root)
    file = datamodule.test_dataset.files[1][4]
    file.unlink()
    with pytest.raises(
        ValueError, match=rf"{file.parent.name} is 11 x 120 x 120, but the sensor .* 12 bands"
    ):
        datamodule.test_dataset[1]


def test_missing_data_are_said(tmp_path):
    for recipe in ("resisc45", "ucmerced", "bigearthnet", "ucmerced_jpg"):
        with pytest.raises(FileNotFoundError):
            opened(recipe, tmp_path / "nowhere")


@pytest.mark.parametrize("recipe", ["ucmerced", "bigearthnet"])
def test_one_command_evaluates(recipe, write, tmp_path):
    options = ["--model.image_size=32", "--model.k=3", "--model.draws=1", "--model.fractions=[1.0]"]
    options += ["--model.shots=[]", "--model.pictures=1"]
    main(
        [
            *("test", f"--config={ROOT}/configs/{recipe}.yaml", f"--data.root={write(recipe)}", *options),
            *(f"--model.output_dir={tmp_path}", "--data.num_workers=0", "--trainer.accelerator=cpu"),
            *("--trainer.logger=false", "--trainer.enable_progress_bar=false"),
        ]
    )
    report = json.loads((tmp_path / "evaluation.json").read_text())
    assert report["images"] == {"train": EXPECTED[recipe][0]} | dict.fromkeys(
        ("val", "test"), EXPECTED[recipe][0]
    )
    assert all(report["data_hashes"].values())
    assert (tmp_path / "neighbours.png").is_file()


def test_fine_tuning_takes_a_recipe(write, tmp_path):
    options = [f"--data.root={write('resisc45')}", "--model.image_size=32", "--trainer.max_epochs=1"]
    options += [f"--trainer.default_root_dir={tmp_path}", "--trainer.accelerator=cpu"]
    options += ["--trainer.enable_progress_bar=false", "--trainer.log_every_n_steps=1"]
    recipe = f"--data={ROOT}/datamodules/resisc45.yaml"
    main(["fit", f"--config={ROOT}/configs/eurosat_finetune.yaml", recipe, *options])
    checkpoint = tmp_path / "version_0" / "checkpoints" / "last.ckpt"
    assert list(load_encoder(checkpoint).sensors) == ["resisc45"]


def test_real_copies_of_uc_merced(real_data):
    datamodule = opened("ucmerced_jpg", real_data / "ucmerced", batch_size=420)
    sizes = [len(getattr(datamodule, f"{split}_dataset")) for split in SPLITS]
    assert (sizes, len(datamodule.class_names)) == ([1260, 420, 420], 21)
    image = next(iter(datamodule.test_dataloader()))["image"]
    (sensor,) = datamodule.sensors.values()
    torch.testing.assert_close(image.mean(dim=(0, 2, 3)), torch.tensor(sensor.mean), atol=0.02, rtol=0)
    torch.testing.assert_close(image.std(dim=(0, 2, 3)), torch.tensor(sensor.std), atol=0.02, rtol=0)


def test_real_patches_of_the_first_bigearthnet(real_data, tmp_path):
    """Its class is given by name; the samples stand in its folders by links."""
    samples = real_data / "bigearthnet_s1s2_samples"
    for key, folder in (("s1", "s1-tiny"), ("s2", "s2-tiny")):
        (tmp_path / BigEarthNet.metadata[key]["directory"]).symlink_to(samples / folder)
    patches = sorted(path.name for path in (samples / "s2-tiny").iterdir())
    partners = {
        json.loads(next(path.glob("*.json")).read_text())["corresponding_s2_patch"]: path.name
        for path in (samples / "s1-tiny").iterdir()
    }
    for split in SPLITS:
        lines = [f"{patch},{partners[patch]}" for patch in patches]
        (tmp_path / f"bigearthnet-{split}.csv").write_text("\n".join(lines) + "\n")
    datamodule = opened("bigearthnet", tmp_path, dataset_class="BigEarthNet", shuffled=False)
    batch = next(iter(datamodule.test_dataloader()))
    assert batch["image"].shape == (3, 12, 120, 120)
    assert 0 < batch["image"].mean() < 0.5
    found = [{datamodule.class_names[i] for i in row.nonzero()[:, 0]} for row in batch["label"]]
    assert found[patches.index("S2A_MSIL2A_20170617T113321_36_85")] == {"Arable land", "Pastures"}
    assert found[patches.index("S2A_MSIL2A_20170617T113321_4_55")] == {"Pastures"}
