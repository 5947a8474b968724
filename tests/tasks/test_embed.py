"""Windows are embedded by the weights that were given, with their statistics."""

from types import SimpleNamespace

import pytest
import torch

from xstars_lightning.models import CrossSensorEncoder, save_encoder
from xstars_lightning.sensors import get_sensor
from xstars_lightning.tasks import Embed

RGB = {"sentinel2_rgb": get_sensor("sentinel2_rgb")}
BATCH = {
    "image": torch.rand(3, 3, 32, 48, generator=torch.Generator().manual_seed(0)),
    "valid": torch.ones(3, 1, 32, 48, dtype=torch.bool),
}


@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(0)
    return CrossSensorEncoder(RGB).eval()


@pytest.fixture(scope="module")
def weights(encoder, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "encoder.safetensors"
    save_encoder(encoder, path)
    return str(path)


@torch.no_grad()
def test_features_are_the_tokens_of_the_encoder(encoder, weights):
    result = Embed(RGB, weights, features="cls+mean").predict_step(BATCH, 0)
    tokens = encoder(BATCH["image"], "sentinel2_rgb")
    torch.testing.assert_close(result["patches"], tokens[:, 1:].unflatten(1, (2, 3)))
    torch.testing.assert_close(result["window"], torch.cat([tokens[:, 0], tokens[:, 1:].mean(dim=1)], dim=1))
    assert result["share"].shape == (3, 2, 3)
    assert result["seen"].all()


def test_windows_that_show_nothing_are_not_embedded():
    task, valid = Embed(RGB, "random-convolution", features="mean"), BATCH["valid"].clone()
    valid[1] = False
    valid[2, :, :, 4:16] = False
    given = []
    task.model.register_forward_pre_hook(lambda _, inputs: given.append(len(inputs[0])))
    result = task.predict_step({"image": BATCH["image"], "valid": valid}, 0)
    assert given == [2]
    assert result["seen"].tolist() == [True, False, True]
    assert len(result["window"]) == len(result["patches"]) == 2
    assert result["share"][1].tolist() == [[0.25, 1, 1], [0.25, 1, 1]]
    assert list(task.predict_step({"image": BATCH["image"], "valid": ~BATCH["valid"]}, 0)) == ["seen"]
    assert given == [2]


def test_windows_can_be_enlarged():
    task = Embed(RGB, "random-convolution", features="mean", image_size=64)
    assert task.predict_step(BATCH, 0)["patches"].shape[:3] == (3, 4, 4)


def test_the_sensor_is_taken_from_the_data(weights):
    task = Embed(weights=weights)
    task.trainer = SimpleNamespace(datamodule=SimpleNamespace(sensors=RGB))
    task.setup("predict")
    assert task.model.sensor == RGB["sentinel2_rgb"]
    task = Embed(weights=weights)
    task.trainer = SimpleNamespace(datamodule=None)
    with pytest.raises(ValueError, match="does not tell the sensor"):
        task.setup("predict")


def test_bands_that_the_weights_do_not_know_are_named(tmp_path):
    save_encoder(CrossSensorEncoder({"landsat": get_sensor("landsat_sr")}), tmp_path / "landsat.safetensors")
    with pytest.raises(ValueError, match=r"sentinel2_rgb.*red, green, blue"):
        Embed(RGB, str(tmp_path / "landsat.safetensors"))


def test_settings_tell_weights_apart(weights):
    trained, one, other = (Embed(RGB, weights), Embed(RGB, seed=1), Embed(RGB, seed=2))
    assert len(trained.settings["weights_sha256"]) == 64
    assert trained.settings["statistics"]["mean"] == list(RGB["sentinel2_rgb"].mean)
    assert one.settings != other.settings
    assert Embed(RGB, weights, features="mean").settings != trained.settings


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"features": "max"}, "features must be one of"),
        ({"sensors": {**RGB, "other": "aerial_rgb"}}, "One sensor .* got sentinel2_rgb, other"),
    ],
)
def test_options_that_cannot_be_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        Embed(**{"sensors": RGB, "weights": "pixels", **options})


def test_digital_numbers_are_refused():
    with pytest.raises(ValueError, match="values from"):
        Embed(RGB, "random-convolution", features="mean").predict_step(
            {**BATCH, "image": 255 * BATCH["image"]}, 0
        )
