"""Frozen evaluation from images to files, without and with weights."""

import hashlib
import json
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from lightning.pytorch import Trainer
from torch.utils.data import TensorDataset

from xstars_lightning.datamodules.eurosat import EuroSATRGBDataModule
from xstars_lightning.datasets.class_folders import ClassFolders
from xstars_lightning.evaluation import label_subset, split_hash
from xstars_lightning.models import CrossSensorEncoder, save_encoder
from xstars_lightning.sensors import Sensor, get_sensor
from xstars_lightning.tasks.frozen_evaluation import FrozenEvaluation

OPTIONS = {"image_size": 32, "k": 3, "fractions": (0.5, 1.0), "draws": 2}

pytestmark = pytest.mark.filterwarnings(
    "ignore:No weights given", "ignore:.*num_workers", "ignore:.*TreeSpec:FutureWarning"
)


def make_trainer(folder, **options):
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    return Trainer(accelerator="cpu", devices=1, default_root_dir=folder, **quiet, **options)


@pytest.fixture
def datamodule(class_folders):
    return EuroSATRGBDataModule(str(class_folders), batch_size=7)


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(5)
    path = tmp_path / "encoder.safetensors"
    save_encoder(CrossSensorEncoder({"s2": get_sensor("sentinel2_rgb")}, "vit_tiny_patch16_224"), path)
    return path


def evaluate(task, datamodule, folder, **options):
    (metrics,) = make_trainer(folder, **options).test(task, datamodule, verbose=False)
    return metrics, json.loads((folder / "evaluation.json").read_text())


def test_random_initialisation_is_evaluated_and_said(datamodule, tmp_path, capsys):
    with pytest.warns(UserWarning, match="RANDOM INITIALISATION"):
        metrics, report = evaluate(FrozenEvaluation(**OPTIONS), datamodule, tmp_path)
    assert "RANDOM INITIALISATION" in capsys.readouterr().out
    assert (report["weights"], report["random_initialisation"]) == (None, True)
    # Every class has a colour of its own: with features or labels out of order it would be a third.
    assert metrics["test_knn"] == metrics["test_linear_1"] == 1.0
    assert report["knn"]["per_class"] == {"Field": 1.0, "Lake": 1.0, "Wood": 1.0}
    assert (tmp_path / "confusion_matrix.png").stat().st_size > 5000


def test_report_tells_how_the_numbers_came_about(datamodule, class_folders, tmp_path):
    _, report = evaluate(FrozenEvaluation(**OPTIONS, temperature=0.2), datamodule, tmp_path)
    train = ClassFolders(class_folders, "train")
    assert report["images"] == {"train": 18, "val": 6, "test": 6}
    assert report["split_hashes"]["train"] == train.split_hash
    assert (report["knn"]["k"], report["knn"]["temperature"]) == (3, 0.2)
    assert (report["backbone"], report["features"]) == ("vit_tiny_patch16_224", "cls")
    half, full = report["linear_probe"]
    assert [len(half["draws"]), len(full["draws"])] == [2, 1]
    assert [draw["labels"] for draw in half["draws"]] == [9, 9]
    # The images that were labelled can be found again from the seed alone.
    for draw in half["draws"]:
        chosen = label_subset(train.targets, 0.5, draw["seed"])
        assert draw["labels_hash"] == split_hash([train.names[index] for index in chosen])
    assert full["draws"][0]["labels_hash"] == split_hash(train.names)


def test_random_initialisation_is_seeded(datamodule):
    first, again, other = (
        FrozenEvaluation(sensors=datamodule.sensors, seed=seed).model.trunk.cls_token for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_weights_are_used_and_hashed(datamodule, weights, tmp_path):
    _, report = evaluate(FrozenEvaluation(weights=str(weights), **OPTIONS), datamodule, tmp_path)
    assert report["weights_sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert (report["weights"], report["random_initialisation"]) == (str(weights), False)
    # The encoder did not know this sensor: it takes the patch embedding of the other RGB sensor
    # and the statistics of this one.
    assert report["sensor"]["mean"] == list(datamodule.sensors["eurosat_rgb"].mean)


@pytest.mark.parametrize(("features", "width"), [("cls", 192), ("mean", 192), ("cls+mean", 384)])
def test_features_are_those_of_the_encoder(weights, features, width):
    task = FrozenEvaluation({"s2": "sentinel2_rgb"}, str(weights), image_size=32, features=features).eval()
    image = torch.rand(2, 3, 50, 50, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        tokens = task.model(F.interpolate(image, (32, 32), mode="bilinear", antialias=True), "s2")
        result = task(image)
    parts = {"cls": [tokens[:, 0]], "mean": [tokens[:, 1:].mean(1)]}
    parts["cls+mean"] = parts["cls"] + parts["mean"]
    assert result.shape == (2, width)
    torch.testing.assert_close(result, torch.cat(parts[features], dim=1))


def test_encoder_is_frozen_and_in_evaluation_mode(datamodule, weights, tmp_path):
    task = FrozenEvaluation(weights=str(weights), **OPTIONS)
    modes = []
    task.on_test_epoch_start = lambda: modes.append(task.model.training or torch.is_grad_enabled())
    evaluate(task, datamodule, tmp_path)
    assert modes == [False]


def test_limit_holds_for_all_splits(datamodule, tmp_path):
    options = {**OPTIONS, "fractions": (1.0,)}
    _, report = evaluate(FrozenEvaluation(**options), datamodule, tmp_path, limit_test_batches=1)
    assert report["images"] == {"train": 7, "val": 6, "test": 6}


def test_output_folder_can_be_chosen(datamodule, tmp_path):
    folder = tmp_path / "a" / "b"
    make_trainer(tmp_path).test(
        FrozenEvaluation(**OPTIONS, output_dir=str(folder)), datamodule, verbose=False
    )
    names = {"confusion_matrix.png", "evaluation.json", "labels.json"}
    assert {path.name for path in folder.iterdir()} == names


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"image_size": 8}, ValueError, "multiple of the patch size 16, got 8"),
        ({"image_size": 40}, ValueError, "multiple of the patch size 16, got 40"),
        ({"features": "pooled"}, ValueError, "'pooled'"),
        ({"fractions": (0.1, 2.0)}, ValueError, "fractions must lie"),
        ({"draws": 0}, ValueError, "draws"),
        ({"weights": "missing.ckpt"}, FileNotFoundError, r"missing\.ckpt"),
        ({"sensors": {"a": "spot_rgb", "b": "landsat_rgb"}}, ValueError, "One sensor .* a, b"),
    ],
)
def test_options_out_of_their_domain(options, error, message):
    with pytest.raises(error, match=message):
        FrozenEvaluation(**({"sensors": {"spot": "spot_rgb"}} | options))


def test_weights_without_a_patch_embedding_for_the_bands(weights):
    infrared = Sensor("infrared", ("nir", "red"), 1, (0, 1), (0.5, 0.5), (0.1, 0.1), ("nir",) * 3)
    with pytest.raises(ValueError, match="No sensor of the encoder has the bands of 'infrared'"):
        FrozenEvaluation({"infrared": infrared}, str(weights))


def test_more_neighbours_than_images(datamodule, tmp_path):
    with pytest.raises(ValueError, match=r"k=20 .* bank holds 18"):
        evaluate(FrozenEvaluation(image_size=32), datamodule, tmp_path)


def test_digital_numbers_are_refused(datamodule, tmp_path):
    datamodule.aug = lambda batch: batch | {"image": batch["image"] * 255}
    with pytest.raises(ValueError, match=r"values from .* about \[0, 1\]"):
        evaluate(FrozenEvaluation(**OPTIONS), datamodule, tmp_path)


def test_label_outside_the_classes(datamodule, tmp_path):
    datamodule.aug = lambda batch: batch | {"label": batch["label"] + 1}
    with pytest.raises(ValueError, match="Labels range from 1 to 3, but there are 3 classes"):
        evaluate(FrozenEvaluation(**OPTIONS), datamodule, tmp_path)


def test_datamodule_must_be_there_and_tell_its_sensor(datamodule, tmp_path):
    del datamodule.sensors
    with pytest.raises(ValueError, match="EuroSATRGBDataModule does not tell the sensor"):
        make_trainer(tmp_path).test(FrozenEvaluation(), datamodule)
    loader = torch.utils.data.DataLoader(TensorDataset(torch.zeros(1)))
    with pytest.raises(ValueError, match="needs training data"):
        make_trainer(tmp_path).test(FrozenEvaluation({"spot": "spot_rgb"}), loader)


def test_sensor_that_is_given_wins(datamodule, tmp_path):
    own = replace(get_sensor("spot_rgb"), resolution=7)
    _, report = evaluate(FrozenEvaluation({"mine": own}, **OPTIONS), datamodule, tmp_path)
    assert report["sensor"]["resolution"] == 7
