"""Frozen evaluation of others, at several resolutions, from the cache, on data with faults."""

import json
import os
import shutil

import pytest
import torch
import torch.nn.functional as F
from lightning.pytorch import Trainer
from torchgeo.datamodules import NonGeoDataModule
from torchgeo.datasets import NonGeoDataset

from xstars_lightning.datamodules.eurosat import EuroSATRGBDataModule
from xstars_lightning.sensors import get_sensor
from xstars_lightning.tasks.frozen_evaluation import FrozenEvaluation
from xstars_lightning.tasks.split_features import SplitFeatures

OPTIONS = {"weights": "pixels", "image_size": 32, "k": 3, "fractions": (0.5, 1.0), "draws": 2}

pytestmark = pytest.mark.filterwarnings(
    "ignore:No weights given", "ignore:.*num_workers", "ignore:.*TreeSpec:FutureWarning"
)


@pytest.fixture
def datamodule(class_folders):
    return EuroSATRGBDataModule(str(class_folders), batch_size=7)


@pytest.fixture
def evaluate(tmp_path):
    def evaluate(datamodule, few=None, **options):
        quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
        trainer = Trainer(
            accelerator="cpu", devices=1, default_root_dir=tmp_path / "out", **quiet, **(few or {})
        )
        (metrics,) = trainer.test(FrozenEvaluation(**(OPTIONS | options)), datamodule, verbose=False)
        return metrics, json.loads((tmp_path / "out" / "evaluation.json").read_text())

    return evaluate


@pytest.fixture
def embedded(monkeypatch):
    """Counts the images that were embedded."""
    counts = []
    original = SplitFeatures.embed

    def embed(self, batch, split):
        counts.append(len(batch["label"]))
        return original(self, batch, split)

    monkeypatch.setattr(SplitFeatures, "embed", embed)
    return counts


def test_peers_stand_in_the_report_with_their_statistics(datamodule, evaluate, tmp_path):
    metrics, report = evaluate(datamodule, shots=(2,))
    assert metrics["test_knn"] == metrics["test_linear_2_shots"] == 1.0
    assert (report["name"], report["weights"], report["random_initialisation"]) == ("pixels", "pixels", False)
    assert report["statistics"]["bands"] == ["red", "green", "blue"]
    assert list(report["scores"]) == [
        *("kNN", "linear, 50 % of labels", "linear, 100 % of labels", "linear, 2 labels per class")
    ]
    assert report["scores"]["kNN"]["interval"] == [1.0, 1.0]
    assert report["command"]
    assert report["versions"]["torch"]
    assert report["data_hashes"]["train"] != report["data_hashes"]["test"]
    assert {*report["data_hash_of"].values(), *report["split_hash_of"].values()} == {"contents", "names"}
    assert (report["leakage_checked"], report["validation_labels"]) == (True, 6)
    assert [report[key] for key in ("precision", "device", "limit_test_batches")] == ["32-true", "cpu", 1.0]
    labels = json.loads((tmp_path / "out" / "labels.json").read_text())
    assert {key: list(draws) for key, draws in labels.items()} == {
        "50 %": ["0", "1"],
        "2 per class": ["0", "1"],
    }
    assert [len(names) for names in labels["2 per class"].values()] == [6, 6]


def test_resolutions_are_columns(datamodule, evaluate, capsys):
    _, report = evaluate(datamodule, resolutions=(1.0, 0.25))
    assert list(report["resolutions"]) == ["1", "0.25"]
    assert report["resolutions"]["1"]["knn"] == report["knn"]
    assert "at a share of the resolution" in capsys.readouterr().out


def test_resolution_is_lost_by_averaging_areas():
    task = FrozenEvaluation(**OPTIONS | {"sensors": {"spot": "spot_rgb"}, "resolutions": (0.5,)})
    image = torch.rand(2, 3, 40, 40, generator=torch.Generator().manual_seed(0))
    halved = image.unfold(2, 2, 2).unfold(3, 2, 2).mean(dim=(-1, -2))
    expected = F.interpolate(halved, (32, 32), mode="bilinear", antialias=True)
    torch.testing.assert_close(task.network.resize(image, 0.5), expected)
    torch.testing.assert_close(
        task.network.embed({"image": image, "label": torch.zeros(2)}, "test")[0][:, 0],
        task.network.tested(expected).cls,
    )


def test_pictures_are_drawn(datamodule, evaluate, tmp_path):
    evaluate(datamodule, pictures=2, weights=None)
    for name in ("tokens.png", "neighbours.png"):
        assert (tmp_path / "out" / name).read_bytes().startswith(b"\x89PNG")


def test_cache_saves_the_work_and_gives_the_same(datamodule, class_folders, evaluate, embedded, tmp_path):
    options = {"cache_dir": str(tmp_path / "cache"), "weights": None}
    first = evaluate(datamodule, **options)[1]
    assert sum(embedded) == 30
    embedded.clear()
    again = evaluate(EuroSATRGBDataModule(str(class_folders), batch_size=7), **options)[1]
    assert embedded == [8, 6, 6]  # the first images of each split, to see whether the cache tells the truth
    assert again["knn"] == first["knn"]
    assert again["linear_probe"] == first["linear_probe"]


@pytest.mark.parametrize("changed", ["weights", "size", "resolutions", "labels", "file", "sensor", "order"])
def test_nothing_stale_is_served(changed, class_folders, evaluate, embedded, tmp_path):
    options = {"cache_dir": str(tmp_path / "cache"), "weights": None, "seed": 0}
    evaluate(EuroSATRGBDataModule(str(class_folders), batch_size=7), **options)
    data = {"root": str(class_folders), "batch_size": 7, "seed": 1 if changed == "order" else 0}
    if changed == "labels":
        (class_folders / "Wood").rename(class_folders / "Bog")  # first of the classes now
    if changed == "file":
        for path in class_folders.glob("*/*.jpg"):
            os.utime(path, ns=(0, 0))
    options |= {
        "weights": {"seed": 1},
        "size": {"image_size": 48},
        "resolutions": {"resolutions": (0.5,)},
        "sensor": {"sensors": {"eurosat_rgb": "spot_rgb"}},
    }.get(changed, {})
    embedded.clear()
    evaluate(EuroSATRGBDataModule(**data), **options)
    assert embedded == [7, 7, 4, 6, 6]


def test_cache_that_lies_is_found_out(datamodule, class_folders, evaluate, embedded, tmp_path, monkeypatch):
    """The code of a dataset is in no key."""
    options = {"cache_dir": str(tmp_path / "cache")}
    evaluate(datamodule, **options)
    monkeypatch.setattr(SplitFeatures, "image", lambda self, batch, split: 0.5 * batch["image"])
    embedded.clear()
    with pytest.warns(UserWarning, match="embedded anew"):
        evaluate(EuroSATRGBDataModule(str(class_folders), batch_size=7), **options)
    assert sum(embedded) == 8 + 18 + 6 + 6 + 6 + 6


def test_image_in_two_splits_is_named_twice(datamodule, class_folders, evaluate):
    datamodule.setup("fit")
    datamodule.setup("test")
    train, test = datamodule.train_dataset.names[0], datamodule.test_dataset.names[0]
    shutil.copy(class_folders / test, class_folders / train)
    with pytest.raises(ValueError, match=rf"1 test images stand in the train .*{train} = test {test}"):
        evaluate(datamodule)
    with pytest.warns(UserWarning, match=f"EXCLUDED 1 images: train {train}: is test image {test}"):
        _, report = evaluate(datamodule, skip_broken=True)
    assert report["excluded"] == [{"split": "train", "name": train, "reason": f"is test image {test}"}]
    assert report["images"] == {"train": 17, "val": 6, "test": 6}


def test_truncated_image_is_an_error_or_left_out(datamodule, class_folders, evaluate):
    datamodule.setup("test")
    name = datamodule.test_dataset.names[2]
    path = class_folders / name
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(ValueError, match=f"{path.name} cannot be read"):
        evaluate(datamodule)
    with pytest.warns(UserWarning, match=f"EXCLUDED 1 images: test {name}"):
        _, report = evaluate(datamodule, skip_broken=True)
    assert report["images"]["test"] == 5


@pytest.mark.parametrize(
    ("options", "message"),
    [({"k": 19}, "k=19 .* bank holds 18 training images"), ({"shots": (7,)}, "'Field' has 6 .* at least 7")],
)
def test_too_few_labels_are_said_before_an_image_is_embedded(
    options, message, datamodule, evaluate, embedded
):
    with pytest.raises(ValueError, match=message):
        evaluate(datamodule, **options)
    assert embedded == []


def test_images_smaller_than_a_patch(datamodule, evaluate):
    datamodule.aug = lambda batch: batch | {"image": batch["image"][..., :8, :8]}
    with pytest.raises(ValueError, match=r"8 x 8 pixels are smaller than a patch of random vit_tiny"):
        evaluate(datamodule, weights=None)


def test_resolutions_out_of_their_domain():
    with pytest.raises(ValueError, match="resolutions must lie"):
        FrozenEvaluation(resolutions=(2.0,))


class TwoSensors(NonGeoDataset):
    """Images of two sensors, of which one sees only noise, with several labels each."""

    classes = ("field", "lake")

    def __init__(self, split="train"):
        generator = torch.Generator().manual_seed({"train": 0, "val": 1, "test": 2}[split])
        self.labels = torch.rand(24, 2, generator=generator) < 0.5
        self.labels[0] = torch.tensor([True, False])
        self.labels[1] = torch.tensor([False, True])
        self.noise = torch.rand(24, 3, 16, 16, generator=generator)

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        label = self.labels[index].float()
        shown = torch.cat([label, label[:1]])[:, None, None].expand(3, 16, 16)
        return {"image_a": shown, "image_b": shown * 0.9, "image_c": self.noise[index], "label": label.long()}


def two_sensors(*names):
    datamodule = NonGeoDataModule(TwoSensors, batch_size=8)
    datamodule.mean, datamodule.std = torch.tensor(0.0), torch.tensor(1.0)
    datamodule.aug = torch.nn.Identity()
    datamodule.sensors = {name: get_sensor("aerial_rgb") for name in names}
    return datamodule


@pytest.mark.parametrize(("test_sensor", "low", "high"), [("b", 0.95, 1.0), ("c", 0.2, 0.8)])
def test_one_sensor_to_train_on_and_another_to_test(test_sensor, low, high, evaluate, tmp_path):
    metrics, report = evaluate(two_sensors("a", test_sensor), test_sensor=test_sensor)
    assert low <= metrics["test_knn"] <= high
    assert low <= metrics["test_linear_1"] <= high
    assert {"macro", "micro", "per_class"} <= set(report["knn"])
    assert report["test_sensor"]["name"] == "aerial_rgb"
    assert report["test_statistics"]["bands"] == ["red", "green", "blue"]
    assert {*report["split_hash_of"].values()} == {"positions"}
    assert {*report["data_hash_of"].values()} == {None}
    assert not (tmp_path / "out" / "confusion_matrix.png").exists()


def test_unknown_files_are_no_checked_leakage(evaluate):
    with pytest.warns(UserWarning, match="LEAKAGE IS NOT CHECKED: .* no files of train, val, test are told"):
        _, report = evaluate(two_sensors("a", "b"), test_sensor="b")
    assert report["leakage_checked"] is False


def test_two_sensors_need_a_choice(evaluate):
    with pytest.raises(ValueError, match=r"One sensor .* a, b; choose one, or two of which"):
        evaluate(two_sensors("a", "b"))


def test_eurosat_from_its_files(real_data, evaluate):
    datamodule = EuroSATRGBDataModule(str(real_data / "eurosat_rgb"), batch_size=64)
    few = {"limit_test_batches": 4}
    metrics, report = evaluate(datamodule, few, weights="random-convolution", k=5, image_size=64)
    assert metrics["test_linear_1"] > 0.4  # chance is 0.1
    assert report["images"] == {"train": 256, "val": 256, "test": 256}
