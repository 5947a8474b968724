"""What is written is read back; what is foreign is refused with the reason."""

import pytest
import torch
from safetensors.torch import save_file

from xstars_lightning.models import CrossSensorEncoder, load_encoder, save_encoder
from xstars_lightning.models.weights import DESCRIPTION, describe_encoder
from xstars_lightning.sensors import get_sensor

SENSORS = {"aerial": get_sensor("aerial_rgb"), "s2": get_sensor("sentinel2_l1c")}


@pytest.fixture(scope="module")
def encoder():
    return CrossSensorEncoder(SENSORS).eval()


def checkpoint(encoder):
    state = {f"teacher.{name}": value for name, value in encoder.state_dict().items()}
    state["model.other"] = torch.zeros(1)
    return {"state_dict": state, DESCRIPTION: describe_encoder(encoder, "teacher.")}


@pytest.mark.parametrize("kind", ["export.safetensors", "last.ckpt"])
def test_round_trip(encoder, tmp_path, kind):
    path = tmp_path / "new" / kind
    if kind.endswith("ckpt"):
        path.parent.mkdir()
        torch.save(checkpoint(encoder), path)
    else:
        save_encoder(encoder, path)
    loaded = load_encoder(path).eval()
    assert loaded.sensors == SENSORS
    image = torch.rand(1, 13, 32, 32)
    assert torch.equal(loaded(image, "s2"), encoder(image, "s2"))


def test_nothing_is_left_beside_the_file(encoder, tmp_path):
    save_encoder(encoder, tmp_path / "a.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.ckpt"):
        load_encoder(tmp_path / "nowhere.ckpt")


def test_damaged_file(encoder, tmp_path):
    path = tmp_path / "half.ckpt"
    torch.save(checkpoint(encoder), path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ValueError, match=r"half\.ckpt.*damaged"):
        load_encoder(path)


@pytest.mark.parametrize("kind", ["foreign.pth", "foreign.safetensors"])
def test_weights_of_another_library(tmp_path, kind):
    path, state = tmp_path / kind, {"conv1.weight": torch.zeros(2)}
    save_file(state, path) if kind.endswith("safetensors") else torch.save(state, path)
    with pytest.raises(ValueError, match=r"foreign.*no encoder of xstars-lightning.*conv1\.weight"):
        load_encoder(path)


def test_another_architecture_than_described(encoder, tmp_path):
    content = checkpoint(encoder)
    content[DESCRIPTION]["backbone"] = "vit_small_patch16_224"
    torch.save(content, tmp_path / "wrong.ckpt")
    with pytest.raises(ValueError, match=r"wrong\.ckpt says it holds a vit_small_patch16_224"):
        load_encoder(tmp_path / "wrong.ckpt")
