"""Images are drawn evenly and decoded once; features are classified by the labels of training images."""

import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from fidelity.classification import classify, embed, load_images
from xstars_lightning.models import CrossSensorEncoder
from xstars_lightning.sensors import get_sensor

COUNTS = {"size": 32, "train": 21, "test": 9, "seed": 0}


@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(0)
    return CrossSensorEncoder({"sentinel2": get_sensor("sentinel2_rgb")}, "vit_tiny_patch16_224")


def test_every_class_has_as_many_images_and_none_is_in_both_parts(class_folders):
    images = load_images(class_folders, "eurosat", **COUNTS)
    assert images.classes == ["Field", "Lake", "Wood"]
    assert images.labels["train"].bincount().tolist() == [7, 7, 7]
    assert images.labels["test"].bincount().tolist() == [3, 3, 3]
    pixels = torch.cat([images.pixels["train"], images.pixels["test"]])
    assert (pixels.dtype, pixels.shape) == (torch.uint8, (30, 3, 32, 32))
    assert len(pixels.flatten(1).unique(dim=0)) == 30


def test_seed_decides_the_draw(class_folders):
    first, again, other = (
        load_images(class_folders, "eurosat", 16, 12, 6, seed).pixels["train"] for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_both_folders_of_uc_merced_are_one_pool(class_folders, tmp_path):
    for part, kept in (("train", range(8)), ("test", range(8, 10))):
        for folder in ("Field", "Lake", "Wood"):
            (tmp_path / "merced" / part / folder).mkdir(parents=True)
            for number in kept:
                name = f"{folder}/{folder}_{number}.jpg"
                shutil.copy(class_folders / name, tmp_path / "merced" / part / name)
    merced = load_images(tmp_path / "merced", "ucmerced", **COUNTS)
    assert torch.equal(merced.pixels["test"], load_images(class_folders, "eurosat", **COUNTS).pixels["test"])


def test_pixels_are_averaged_when_images_shrink(tmp_path):
    fine = np.indices((32, 32)).sum(axis=0) % 2 * 255
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(2):
            pixels = np.repeat(fine[..., None], 3, axis=2).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{number}.png")
    pixels = load_images(tmp_path, "eurosat", 8, 2, 2, 0).pixels["train"]
    assert pixels.min() > 110
    assert pixels.max() < 145


def test_decoded_images_are_kept(class_folders, tmp_path):
    first = load_images(class_folders, "eurosat", **COUNTS, cache=tmp_path / "cache")
    (class_folders / "Lake" / "Lake_0.jpg").unlink()
    again = load_images(class_folders, "eurosat", **COUNTS, cache=tmp_path / "cache")
    assert torch.equal(first.pixels["test"], again.pixels["test"])
    assert torch.equal(first.labels["train"], again.labels["train"])
    assert (again.kind, again.classes) == (first.kind, first.classes)
    with pytest.raises(ValueError, match="'Lake' has 9 samples"):
        load_images(class_folders, "eurosat", **{**COUNTS, "seed": 1}, cache=tmp_path / "cache")
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_impossible_draws_and_damaged_images_are_named(class_folders):
    with pytest.raises(ValueError, match="multiples of 3"):
        load_images(class_folders, "eurosat", 32, 20, 9, 0)
    damaged = class_folders / "Wood" / "Wood_4.jpg"
    damaged.write_bytes(damaged.read_bytes()[:300])
    with pytest.raises(ValueError, match=r"Wood_4\.jpg"):
        load_images(class_folders, "eurosat", **COUNTS)


def test_images_are_standardised_by_their_own_statistics(class_folders, encoder):
    images = load_images(class_folders, "eurosat", **COUNTS)
    scaled = images.pixels["train"].double() / 255
    mean, std = scaled.mean(dim=(0, 2, 3)), scaled.std(dim=(0, 2, 3))
    torch.testing.assert_close(torch.tensor(images.statistics), torch.stack([mean, std]).float())
    reference = embed(encoder, "sentinel2", images)["test"].features
    brighter = {part: (pixels * 0.5 + 100).byte() for part, pixels in images.pixels.items()}
    object.__setattr__(images, "pixels", brighter)
    del images.__dict__["statistics"]
    changed = embed(encoder, "sentinel2", images)["test"].features
    assert torch.corrcoef(torch.stack([reference.flatten(), changed.flatten()]))[0, 1] > 0.98


def test_features_are_class_and_patch_tokens_in_standard_form(class_folders, encoder):
    images = load_images(class_folders, "eurosat", **COUNTS)
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    features = embed(encoder, "sentinel2", images)["train"].features
    assert features.shape == (21, 2 * encoder.embed_dim)
    torch.testing.assert_close(features.mean(dim=0), torch.zeros(features.shape[1]), atol=1e-4, rtol=0)
    torch.testing.assert_close(features.std(dim=0), torch.ones(features.shape[1]), atol=1e-3, rtol=0)
    assert list(encoder.sensors) == ["sentinel2"]
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    with pytest.raises(ValueError, match=r"'spot'.*sentinel2"):
        embed(encoder, "spot", images)


def test_classes_of_different_colour_are_told_apart(class_folders, encoder):
    images = load_images(class_folders, "eurosat", **COUNTS)
    scores = classify(encoder, "sentinel2", images, labels_per_class=(1, 5), draws=2)
    assert scores == {"eurosat_knn": 1.0, "eurosat_linear_1": 1.0, "eurosat_linear_5": 1.0}
    images.labels["test"][images.labels["test"] < 2] ^= 1  # fields are called lakes, and lakes fields
    scores = classify(encoder, "sentinel2", images, labels_per_class=(1,), draws=2)
    assert scores == {"eurosat_knn": pytest.approx(1 / 3), "eurosat_linear_1": pytest.approx(1 / 3)}
