"""Fine-tuning on data with faults, on few labels, and on test images of another sensor."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader

from xstars_lightning.datamodules.eurosat import EuroSATRGBDataModule
from xstars_lightning.datamodules.segmentation import SegmentationDataModule
from xstars_lightning.evaluation import split_hash
from xstars_lightning.evaluation.label_draws import draw_labels
from xstars_lightning.sensors import get_sensor
from xstars_lightning.tasks.classification import FineTuneClassification
from xstars_lightning.tasks.segmentation import FineTuneSegmentation
from xstars_lightning.tasks.tuning_data import find_test_sensor, restandardize

pytestmark = pytest.mark.filterwarnings(
    "ignore:No weights given",
    "ignore:.*num_workers",
    "ignore:.*TreeSpec:FutureWarning",
    "ignore:.*log_every_n",
)

AERIAL = get_sensor("aerial_rgb")
OTHER = replace(AERIAL, name="other", mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
LOVEDA = {
    "dataset_class": "LoveDA",
    "sensors": {"aerial": AERIAL},
    "class_names": {1: "field", 2: "lake", 3: "wood"},
    "ignored": [0],
    "splits": {"train": {"split": "train"}, "test": {"split": "val"}},
    "held_out": {"val": 0.2},
    "batch_size": 4,
}


def report(folder):
    return json.loads((folder / "evaluation.json").read_text())


def test_test_images_of_another_sensor_are_standardised_by_its_statistics(loveda, make_trainer, tmp_path):
    data = SegmentationDataModule(**LOVEDA, root=loveda, test_sensors={"other": OTHER})
    task, given = FineTuneSegmentation(decoder_width=16), []
    trainer = make_trainer(max_steps=1)
    trainer.fit(task, data)
    task.encoder.patch_embed["red-green-blue"].register_forward_pre_hook(
        lambda _, seen: given.append(seen[0])
    )
    trainer.test(task, data, verbose=False)
    batch = next(iter(data.test_dataloader()))["image"]
    mean, std = (torch.tensor(values)[:, None, None] for values in (OTHER.mean, OTHER.std))
    torch.testing.assert_close(given[0], (batch - mean) / std)
    found = report(tmp_path)
    assert (found["sensor"]["name"], found["test_sensor"]["name"]) == (AERIAL.name, "other")
    assert found["statistics"]["mean"] == list(AERIAL.mean)
    assert found["test_statistics"] == {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]}
    assert list(task.encoder.sensors) == ["aerial"]


def test_one_sensor_is_left_as_it_is(loveda):
    image = torch.rand(1, 3, 4, 4)
    assert restandardize(image, AERIAL, AERIAL) is image
    assert find_test_sensor(SegmentationDataModule(**LOVEDA, root=loveda), AERIAL) is None


def test_test_images_of_other_bands_are_refused(loveda, make_trainer):
    data = SegmentationDataModule(**LOVEDA, root=loveda, test_sensors={"naip": "naip_rgbn"})
    with pytest.raises(
        ValueError, match="red, green, blue, nir, those of training of 'aerial_rgb' red, green"
    ):
        make_trainer(max_steps=1).fit(FineTuneSegmentation(decoder_width=16), data)


@pytest.fixture
def scenes(class_folders):
    return EuroSATRGBDataModule(str(class_folders), batch_size=6)


def classification(**options):
    return FineTuneClassification(image_size=32, **options)


def names(data, split):
    data.setup("fit")
    data.setup("test")
    return getattr(data, f"{split}_dataset").names


def test_a_test_image_to_train_on_is_an_error_or_left_out(scenes, class_folders, make_trainer, tmp_path):
    train, test = names(scenes, "train")[0], names(scenes, "test")[0]
    shutil.copy(class_folders / test, class_folders / train)
    with pytest.raises(ValueError, match=rf"1 test images stand in the train .*{train} = test {test}"):
        make_trainer().fit(classification(), scenes)
    task, trainer = classification(skip_broken=True), make_trainer(max_steps=1)
    with pytest.warns(UserWarning, match=f"EXCLUDED 1 images: train {train}"):
        trainer.fit(task, scenes)
    assert task.trained["images"] == {"train": 17, "val": 6}
    assert (task.trained["leakage_checked"], task.trained["limit_train_batches"]) == (True, 1.0)
    trainer.test(task, scenes, verbose=False)
    assert report(tmp_path)["excluded"] == task.trained["excluded"]
    assert [one["name"] for one in task.trained["excluded"]] == [train]


def test_training_goes_without_test_images_but_says_so(loveda, make_trainer):
    shutil.rmtree(Path(loveda) / "Val")
    task = FineTuneSegmentation(decoder_width=16)
    with pytest.warns(UserWarning, match=r"LEAKAGE IS NOT CHECKED: .* no files of test"):
        make_trainer(max_steps=1).fit(task, SegmentationDataModule(**LOVEDA, root=loveda))
    assert task.trained["leakage_checked"] is False


def test_a_share_of_the_labels_is_drawn_and_said(scenes, make_trainer, tmp_path):
    names(scenes, "train")
    dataset = scenes.train_dataset
    chosen = draw_labels(dataset.targets, 3, dataset.classes, 0.3)
    expected = [dataset.names[index] for index in chosen.tolist()]
    task, trainer = classification(fraction=0.3, seed=3), make_trainer(max_steps=1)
    trainer.fit(task, scenes)
    assert len(expected) == 6
    assert task.trained["images"] == {"train": 6, "val": 6}
    assert task.trained["split_hashes"]["train"] == split_hash(expected)
    trainer.test(task, scenes, verbose=False)
    assert list(report(tmp_path)["scores"]) == ["fine-tuned, 30 % of labels"]


@pytest.mark.parametrize(
    ("image", "label", "message"),
    [
        (torch.rand(2, 3, 8, 8), torch.zeros(2).long(), "8 x 8 pixels are smaller than a patch of 16 pixels"),
        (torch.rand(2, 2, 3, 32, 32), torch.zeros(2).long(), "2 x 3 x 32 x 32; .* one date"),
        (torch.rand(2, 3, 32, 32), torch.zeros(2, 3).long(), r"labels of shape \(2, 3\); .* one label"),
    ],
)
def test_batches_that_cannot_be_trained_on(image, label, message, make_trainer):
    task = classification(sensors={"aerial": AERIAL}, class_names=["field", "lake", "wood"])
    loader = DataLoader([{"image": image, "label": label}], batch_size=None)
    with pytest.raises(ValueError, match=message):
        make_trainer(max_steps=1).fit(task, loader)
