"""The probe on patch tokens, from files to files."""

import json

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer
from PIL import Image

from xstars_lightning.datamodules.segmentation import SegmentationDataModule
from xstars_lightning.evaluation import split_hash
from xstars_lightning.evaluation.comparison import comparison_markdown, group_runs, read_runs
from xstars_lightning.models import CrossSensorEncoder, save_encoder
from xstars_lightning.models.features import open_features
from xstars_lightning.sensors import get_sensor
from xstars_lightning.tasks.dense_features import dense_features, draw_tokens
from xstars_lightning.tasks.segmentation_probe import SegmentationProbe

pytestmark = pytest.mark.filterwarnings(
    "ignore:No weights given", "ignore:.*num_workers", "ignore:.*TreeSpec:FutureWarning"
)


def datamodule(root, **options):
    defaults = {
        "dataset_class": "LoveDA",
        "sensors": {"aerial": "aerial_rgb"},
        "class_names": {1: "field", 2: "lake", 3: "wood"},
        "ignored": [0],
        "root": root,
        "splits": {"train": {"split": "train"}, "test": {"split": "val"}},
        "held_out": {"val": 0.2},
        "batch_size": 4,
    }
    return SegmentationDataModule(**(defaults | options))


def evaluate(data, folder, **options):
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = Trainer(accelerator="cpu", devices=1, default_root_dir=folder, **quiet)
    (metrics,) = trainer.test(SegmentationProbe(**options), data, verbose=False)
    return metrics, json.loads((folder / "evaluation.json").read_text())


def test_classes_of_colours_are_told_apart(loveda, tmp_path, capsys):
    metrics, report = evaluate(datamodule(loveda), tmp_path, fractions=(0.2, 1.0), draws=2)
    few, full = report["segmentation_probe"]
    assert full["mean"] == pytest.approx(metrics["test_miou_1"])
    assert full["mean"] > 0.9
    assert metrics["test_miou_0.2"] == pytest.approx(np.mean([s["mean_iou"] for s in few["scores"]]))
    assert [len(few["draws"]), len(full["draws"])] == [2, 1]
    assert [draw["images"] for draw in few["draws"]] == [2, 2]
    labels = json.loads((tmp_path / "labels.json").read_text())
    assert [(each["fraction"], each["seed"], len(each["images"])) for each in labels] == [
        *((0.2, 0, 2), (0.2, 1, 2)),
        (1.0, 0, 10),
    ]
    for each, draw in zip(labels, few["draws"] + full["draws"], strict=True):
        assert split_hash(each["images"]) == draw["images_hash"]
    # A quarter of every image does not count.
    assert sum(map(sum, full["scores"][0]["confusion"])) == 6 * 3 * 32 * 32
    assert list(full["scores"][0]["iou"]) == ["field", "lake", "wood"]
    assert "RANDOM INITIALISATION" in capsys.readouterr().out
    assert (tmp_path / "segmentation.png").stat().st_size > 20_000


def test_the_report_tells_how_the_numbers_came_about(loveda, tmp_path):
    _, report = evaluate(datamodule(loveda), tmp_path)
    assert report["images"] == {"train": 10, "val": 2, "test": 6}
    assert len({*report["split_hashes"].values()}) == 3
    assert (report["weights"], report["random_initialisation"]) == (None, True)
    assert report["sensor"]["mean"] == list(get_sensor("aerial_rgb").mean)
    assert report["classes"] == ["field", "lake", "wood"]
    assert report["data"] == "LoveDA"
    assert evaluate(datamodule(loveda), tmp_path)[1]["segmentation_probe"] == report["segmentation_probe"]


def test_runs_can_be_compared(loveda, tmp_path):
    evaluate(datamodule(loveda), tmp_path / "random")
    evaluate(datamodule(loveda), tmp_path / "pixels", weights="pixels")
    (group,) = group_runs(read_runs([str(tmp_path)])).values()
    assert {*group} == {"pixels", "random vit_tiny_patch16_224"}
    assert "mean IoU, 100 % of images" in comparison_markdown({"LoveDA": group})


def test_tiles_give_the_pixels_of_the_images(loveda, tmp_path):
    _, report = evaluate(datamodule(loveda, tile=48), tmp_path)
    assert sum(map(sum, report["segmentation_probe"][0]["scores"][0]["confusion"])) == 6 * 3 * 32 * 32
    assert report["images"]["test"] == 6


def test_a_class_that_was_not_labelled_is_told(loveda, tmp_path):
    names = {1: "field", 2: "lake", 3: "wood", 4: "town"}
    with pytest.warns(UserWarning, match="100 % of images, draw 0: no pixel of town"):
        _, report = evaluate(datamodule(loveda, class_names=names), tmp_path)
    assert report["segmentation_probe"][0]["draws"][0]["missing"] == ["town"]
    assert report["segmentation_probe"][0]["scores"][0]["iou"]["town"] is None


def test_a_label_outside_the_classes(loveda, tmp_path):
    with pytest.raises(ValueError, match=r"masks_png/\d\.png has the label 3; known are classes \[1, 2\]"):
        evaluate(datamodule(loveda, class_names={1: "field", 2: "lake"}), tmp_path)


def test_bands_that_the_weights_were_not_trained_on(loveda, tmp_path):
    weights = tmp_path / "naip.safetensors"
    save_encoder(CrossSensorEncoder({"naip": get_sensor("naip_rgbn")}), weights)
    with pytest.raises(ValueError, match=r"red, green, blue.*naip.*red, green, blue, nir"):
        evaluate(datamodule(loveda), tmp_path, weights=str(weights))


def test_tiles_smaller_than_a_patch(loveda, tmp_path):
    with pytest.raises(
        ValueError, match=r"8 x 8 pixels are smaller than the patches of 16 .* give image_size"
    ):
        evaluate(datamodule(loveda, tile=8), tmp_path)
    metrics, _ = evaluate(datamodule(loveda, tile=8, held_out={}), tmp_path, image_size=32)
    assert metrics["test_miou_1"] > 0.9


def network():
    return open_features(None, "aerial", get_sensor("aerial_rgb"), "vit_tiny_patch16_224", 0)


def test_tokens_are_those_of_the_encoder_with_statistics_applied_once():
    model, image = network(), torch.rand(2, 3, 48, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        tokens = dense_features(model, image, None)
        expected = model.network(image, "aerial")[:, 1:].view(2, 3, 2, -1)
    torch.testing.assert_close(tokens, expected)


def test_of_two_dates_the_difference_of_tokens_is_taken():
    pair = torch.rand(2, 2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    model = network()
    with torch.no_grad():
        first, second = (dense_features(model, pair[:, date], None) for date in range(2))
        torch.testing.assert_close(dense_features(model, pair, None), (first - second).abs())
        same = dense_features(model, pair[:, :1].repeat(1, 2, 1, 1, 1), None)
    assert same.abs().max() == 0


def test_sides_that_are_no_multiple_of_the_patch_are_resized():
    with torch.no_grad():
        assert dense_features(network(), torch.rand(1, 3, 40, 70), None).shape[1:3] == (2, 4)
        assert dense_features(network(), torch.rand(1, 3, 40, 70), 64).shape[1:3] == (4, 4)


def test_values_that_are_not_scaled():
    with pytest.raises(ValueError, match="expects about"):
        dense_features(network(), 255 * torch.rand(1, 3, 32, 32), None)


def test_labelled_tokens_are_drawn_with_what_belongs_to_them():
    tokens = torch.arange(2 * 3 * 3).float().view(2, 3, 3, 1)
    shares = tokens / 100
    shares[0, 0] = 0
    drawn = draw_tokens(tokens, shares, torch.tensor([5, 6]), 7, torch.Generator().manual_seed(0))
    assert drawn[2].tolist() == [5] * 6 + [6] * 7
    torch.testing.assert_close(drawn[0] / 100, drawn[1])
    assert drawn[0][:6].min() >= 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fractions": (0.0,)}, "fractions must lie"),
        ({"draws": 0}, "draws be positive"),
        ({"tokens_per_tile": 0}, "tokens_per_tile 0"),
        ({"pictures": 0}, "pictures 0"),
    ],
)
def test_options_out_of_their_domain(options, message):
    with pytest.raises(ValueError, match=message):
        SegmentationProbe(**options)


def test_change_between_two_dates_is_found(tmp_path):
    """Bright houses appear on dark ground that is otherwise the same."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 6), ("val", 2), ("test", 3)):
        for number in range(count):
            mask = np.kron(rng.random((4, 4)) < 0.3, np.ones((16, 16))).astype(np.uint8) * 255
            before = rng.integers(60, 100, (64, 64, 3)).astype(np.uint8)
            after = np.where(mask[..., None] > 0, np.uint8(210), before)
            for folder, pixels in (("A", before), ("B", after), ("label", mask)):
                (tmp_path / folder).mkdir(exist_ok=True)
                Image.fromarray(pixels).save(tmp_path / folder / f"{split}_{number}.png")
    data = SegmentationDataModule(
        "LEVIRCD", {"a": "aerial_rgb"}, {0: "no change", 1: "change"}, str(tmp_path)
    )
    _, report = evaluate(data, tmp_path / "out")
    assert report["segmentation_probe"][0]["scores"][0]["iou"]["change"] > 0.7
