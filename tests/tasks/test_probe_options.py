"""The probe on patch tokens at several resolutions and with few images."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from xstars_lightning.models.features import open_features
from xstars_lightning.sensors import get_sensor
from xstars_lightning.tasks.dense_features import dense_features
from xstars_lightning.tasks.segmentation_probe import SegmentationProbe

pytestmark = pytest.mark.filterwarnings(
    "ignore:No weights given", "ignore:.*num_workers", "ignore:.*TreeSpec:FutureWarning"
)


def test_resolution_is_lost_by_averaging_areas_and_the_grid_stays():
    model = open_features("random-convolution", "aerial", get_sensor("aerial_rgb"))
    image = torch.rand(2, 3, 48, 64, generator=torch.Generator().manual_seed(0))
    halved = image.unfold(2, 2, 2).unfold(3, 2, 2).mean(dim=(-1, -2))
    expected = torch.nn.functional.interpolate(halved, (48, 64), mode="bilinear", antialias=True)
    tokens = dense_features(model, image, None, 0.5)
    torch.testing.assert_close(tokens, model(expected).patches)
    assert tokens.shape[1:3] == dense_features(model, image, None).shape[1:3] == (3, 4)
    pair = torch.stack([image, image.flip(-1)], dim=1)
    difference = (dense_features(model, image.flip(-1), None, 0.5) - tokens).abs()
    torch.testing.assert_close(dense_features(model, pair, None, 0.5), difference)


def test_every_resolution_has_probes_of_the_same_images_and_masks_stay(probe, capsys):
    metrics, report = probe(resolutions=(1.0, 0.125), fractions=(0.3, 1.0), draws=2)
    assert list(report["resolutions"]) == ["1", "0.125"]
    fine, coarse = (report["resolutions"][share] for share in ("1", "0.125"))
    assert fine["segmentation_probe"] == report["segmentation_probe"]
    assert metrics["test_miou_1"] == pytest.approx(fine["scores"]["mean IoU, 100 % of images"]["value"])
    assert coarse["scores"] != fine["scores"]
    rows = zip(fine["segmentation_probe"], coarse["segmentation_probe"], strict=True)
    for one, other in rows:
        assert [d["images_hash"] for d in one["draws"]] == [d["images_hash"] for d in other["draws"]]
        for score in (*one["scores"], *other["scores"]):
            assert sum(map(sum, score["confusion"])) == 6 * 3 * 32 * 32
    assert report["protocol"]["resolutions"] == [1.0, 0.125]
    assert "at a share of the resolution" in capsys.readouterr().out


def test_what_is_smaller_than_the_lost_resolution_cannot_be_told(probe, tmp_path):
    """Stripes of one pixel on one half, grey of the same mean on the other."""
    stripes = np.where(np.arange(64) % 2, 255, 1)[None, :, None] * np.ones((64, 1, 3))
    rng = np.random.default_rng(0)
    for split in ("Train", "Val"):
        for number in range(6):
            mask = np.kron([[1, 2] if number % 2 else [2, 1]], np.ones((64, 32))).astype(np.uint8)
            pixels = np.where(mask[..., None] == 1, stripes, 128).astype(np.uint8)
            pixels[0, :8] = rng.integers(100, 150, (8, 3))  # no two files are the same
            for kind, array in (("images_png", pixels), ("masks_png", mask)):
                for scene in ("Urban", "Rural"):
                    folder = tmp_path / "stripes" / split / scene / kind
                    folder.mkdir(parents=True, exist_ok=True)
                    if scene == ("Urban" if number < 3 else "Rural"):
                        Image.fromarray(array).save(folder / f"{number}.png")
    data = {"root": str(tmp_path / "stripes"), "class_names": {1: "stripes", 2: "grey"}}
    _, report = probe(data, resolutions=(1.0, 0.5), tokens_per_tile=16)
    fine, coarse = (
        part["scores"]["mean IoU, 100 % of images"]["value"] for part in report["resolutions"].values()
    )
    assert fine > 0.9
    assert coarse < 0.7


def test_shots_stand_beside_shares(probe, tmp_path):
    metrics, report = probe(shots=(1, 2), draws=2)
    names = ["100 % of images", "1 image per class", "2 images per class"]
    assert list(report["scores"]) == [f"mean IoU, {name}" for name in names]
    assert {"test_miou_1", "test_miou_1_shots", "test_miou_2_shots"} <= {*metrics}
    labels = json.loads((tmp_path / "out" / "labels.json").read_text())
    # Every image holds all three classes.
    assert [(each["shots"], len(each["images"])) for each in labels] == [
        *((None, 10), (1, 1), (1, 1), (2, 2), (2, 2))
    ]
    low, high = report["scores"]["mean IoU, 2 images per class"]["interval"]
    assert low < report["scores"]["mean IoU, 2 images per class"]["value"] < high


def test_more_shots_than_images(probe):
    with pytest.raises(ValueError, match="Class 'field' has 10 samples, at least 11 are needed"):
        probe(shots=(11,))


def test_the_report_tells_seeds_hashes_and_that_nothing_was_excluded(probe, loveda):
    _, report = probe()
    assert (report["seed"], report["excluded"], report["leakage_checked"]) == (0, [], True)
    assert (report["validation_labels"], report["limit_test_batches"]) == (2, 1.0)
    assert len({*report["data_hashes"].values()}) == 3
    file = next(Path(loveda).glob("Val/*/masks_png/0.png"))
    Image.fromarray(np.full((64, 64), 1, np.uint8)).save(file)
    again = probe()[1]["data_hashes"]
    assert again["test"] != report["data_hashes"]["test"]
    assert again["train"] == report["data_hashes"]["train"]


@pytest.mark.parametrize(
    ("options", "message"),
    [({"resolutions": (2.0,)}, "resolutions must lie"), ({"shots": (0,)}, r"shots \(0,\)")],
)
def test_options_out_of_their_domain(options, message):
    with pytest.raises(ValueError, match=message):
        SegmentationProbe(**options)
