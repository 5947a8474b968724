"""Files and names of every origin come into one form, and nothing in a file is run."""

import argparse
import os
from pathlib import PurePosixPath

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from xstars_lightning.models import CrossSensorEncoder, read_weights, save_encoder
from xstars_lightning.models.weights import DESCRIPTION, describe_encoder
from xstars_lightning.sensors import get_sensor

RGB = ("red", "green", "blue")
TRUNK = ("cls_token", "pos_embed", "blocks.0.norm1.weight", "blocks.1.norm1.weight", "norm.weight")


def vit(value=1.0, channels=3):
    """What matters of a vision transformer's state dictionary; every tensor holds one value."""
    state = {name: torch.full((4,), value) for name in TRUNK}
    state["patch_embed.proj.weight"] = torch.full((4, channels, 2, 2), value)
    return state | {"patch_embed.proj.bias": torch.full((4,), value)}


def prefixed(prefix, state):
    return {prefix + name: tensor for name, tensor in state.items()}


HEAD = {"head.mlp.0.weight": torch.zeros(2, 4), "head.last_layer.weight_g": torch.zeros(2, 1)}
DINO = {
    "student": prefixed("module.", prefixed("backbone.", vit(0.0)) | HEAD),
    "teacher": prefixed("backbone.", vit()) | HEAD,
    "optimizer": {"state": {0: {"step": torch.zeros(())}}, "param_groups": [{"lr": np.float64(0.1)}]},
    "epoch": 400,
    "args": argparse.Namespace(arch="vit_tiny", sensors=["Sentinel", "Landsat"], mean=(0.1, 0.2, 0.3)),
    "dino_loss": {"center": torch.zeros(1, 2)},
    "fp16_scaler": None,
}
CHUNKED = {name.replace("blocks.", "blocks.0.", 1): x for name, x in vit().items()}
MASK = {"mask_token": torch.zeros(4)}
DECODER = {"decoder_embed.weight": torch.zeros(2, 4), "decoder_blocks.0.norm1.weight": torch.zeros(4)}
LAYOUTS = {
    "X-STARS or DINO": DINO,
    "DINO without student": {"teacher": prefixed("backbone.", vit()) | HEAD},
    "student only": {"student": prefixed("module.backbone.", vit())},
    "both in one dictionary": prefixed("student.backbone.", vit(0.0)) | prefixed("teacher.backbone.", vit()),
    "a model and its teacher": prefixed("model.", vit(0.0)) | prefixed("teacher.", vit()),
    "DINOv2": vit() | MASK,
    "DINOv2 in training": {
        "teacher": prefixed("backbone.", CHUNKED | MASK) | {"dino_head.w": torch.zeros(2)}
    },
    "MAE": {"model": vit() | DECODER | MASK, "epoch": 800, "args": argparse.Namespace(model="mae_vit")},
    "MAE with a decoder of like names": {
        "state_dict": prefixed("decoder.", {"blocks.0.norm1.weight": torch.zeros(4)})
        | prefixed("encoder.", vit())
    },
    "Lightning": {"state_dict": prefixed("model.", vit()) | {"criterion.weight": torch.zeros(2)}, "epoch": 3},
    "MoCo": {
        "state_dict": prefixed("module.base_encoder.", vit()) | prefixed("module.momentum_encoder.", vit(0.0))
    },
    "compiled": prefixed("_orig_mod.", vit()),
    "timm": vit() | {"head.weight": torch.zeros(10, 4), "head.bias": torch.zeros(10)},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_comes_to_the_names_of_timm(layout, tmp_path):
    torch.save(LAYOUTS[layout], tmp_path / "weights.pth")
    weights = read_weights(str(tmp_path / "weights.pth"))
    assert tuple(weights.trunk) == TRUNK
    assert all((tensor == 1).all() for tensor in weights.trunk.values())
    assert list(weights.stems) == [RGB]
    weight, bias = weights.stems[RGB]
    assert weight.shape == (4, 3, 2, 2)
    assert (weight == 1).all()
    assert (bias == 1).all()
    assert weights.sensors == {}


@pytest.mark.parametrize("suffix", ["pth", "pt", "bin", "safetensors"])
def test_plain_files_of_any_suffix(suffix, tmp_path):
    path = tmp_path / f"plain.{suffix}"
    save_file(vit(), path) if suffix == "safetensors" else torch.save(vit(), path)
    assert set(read_weights(str(path)).trunk) == set(TRUNK)


def test_what_is_left_out_is_told(tmp_path):
    torch.save(LAYOUTS["MAE"], tmp_path / "mae.pth")
    assert read_weights(str(tmp_path / "mae.pth")).ignored == (*DECODER, *MASK)
    torch.save(DINO, tmp_path / "dino.pth")
    assert read_weights(str(tmp_path / "dino.pth")).ignored == tuple(HEAD)


def test_patch_embedding_without_bias_gets_none(tmp_path):
    state = {name: x for name, x in vit().items() if name != "patch_embed.proj.bias"}
    torch.save(state, tmp_path / "clip.pth")
    assert torch.equal(read_weights(str(tmp_path / "clip.pth")).stems[RGB][1], torch.zeros(4))


OURS = {name: get_sensor(name) for name in ("aerial_rgb", "spot_rgb", "sentinel2_l2a")}


@pytest.fixture(scope="module")
def encoder():
    return CrossSensorEncoder(OURS)


@pytest.mark.parametrize("kind", ["last.ckpt", "export.safetensors"])
def test_files_of_ours_bring_all_stems_and_the_statistics(kind, encoder, tmp_path):
    path, l2a = tmp_path / kind, OURS["sentinel2_l2a"].bands
    if kind.endswith("ckpt"):
        student = {f"model.{name}": x + 1 for name, x in encoder.state_dict().items()}
        state = student | prefixed("teacher.", encoder.state_dict())
        torch.save({"state_dict": state, DESCRIPTION: describe_encoder(encoder, "teacher.")}, path)
    else:
        save_encoder(encoder, path)
    weights = read_weights(str(path))
    assert weights.sensors == OURS
    assert weights.trunk.keys() == encoder.trunk.state_dict().keys()
    assert all(torch.equal(x, weights.trunk[name]) for name, x in encoder.trunk.state_dict().items())
    assert set(weights.stems) == {RGB, l2a}
    for bands, (weight, bias) in weights.stems.items():
        assert torch.equal(weight, encoder.patch_embed["-".join(bands)].proj.weight)
        assert torch.equal(bias, encoder.patch_embed["-".join(bands)].proj.bias)


def test_a_file_of_ours_that_lacks_a_stem_is_damaged(encoder, tmp_path):
    state = {name: x for name, x in encoder.state_dict().items() if "coastal" not in name}
    torch.save({"state_dict": state, DESCRIPTION: describe_encoder(encoder)}, tmp_path / "edited.ckpt")
    with pytest.raises(ValueError, match=r"edited\.ckpt lacks patch_embed\.coastal.*damaged"):
        read_weights(str(tmp_path / "edited.ckpt"))


class RunsCode:
    def __reduce__(self):
        return os.system, ("true",)


@pytest.mark.parametrize(
    ("content", "name"), [(RunsCode(), "system"), (PurePosixPath("runs"), r"pathlib\S*PurePosixPath")]
)
def test_a_file_that_could_run_code_is_refused(content, name, tmp_path):
    torch.save(vit() | {"args": content}, tmp_path / "risky.pth")
    with pytest.raises(ValueError, match=rf"risky\.pth needs \S*{name} .*could run code"):
        read_weights(str(tmp_path / "risky.pth"))


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
@pytest.mark.parametrize("share", [0, 0.1, 0.6])
def test_a_truncated_file_is_named(kind, share, tmp_path):
    path = tmp_path / "half.pth"
    if kind == "safetensors":
        save_file(vit(), path)
    else:
        torch.save(vit(), path, _use_new_zipfile_serialization=kind == "zip")
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(ValueError, match=r"half\.pth cannot be read .*damaged"):
        read_weights(str(path))


@pytest.mark.parametrize(
    "content", [b"<html>not found</html>", b"version https://git-lfs\n", b"\x80\x02}q\x00"]
)
def test_garbage_is_named(content, tmp_path):
    (tmp_path / "garbage.pth").write_bytes(content)
    with pytest.raises(ValueError, match=r"garbage\.pth cannot be read"):
        read_weights(str(tmp_path / "garbage.pth"))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"conv1.weight": torch.zeros(2)}, r"blocks\.0\.norm1\.weight are missing.*found: conv1\.weight"),
        ({"epoch": 3}, "found: no tensor"),
        ([torch.zeros(2)], "holds a list"),
    ],
)
def test_a_file_without_a_vision_transformer_is_refused(content, reason, tmp_path):
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(ValueError, match=rf"other\.pth.*{reason}"):
        read_weights(str(tmp_path / "other.pth"))


@pytest.mark.parametrize("source", ["nowhere.pth", "nowhere.ckpt", "folder/vit_tiny_patch16_224"])
def test_what_looks_like_a_file_must_be_one(source):
    with pytest.raises(FileNotFoundError, match=rf"No weights at {source}; give"):
        read_weights(source)


def test_a_file_comes_before_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save(vit(), "vit_tiny_patch16_224")
    assert set(read_weights("vit_tiny_patch16_224").trunk) == set(TRUNK)


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("vit_small_patch16_244.dino", r"timm has no .*vit_small_patch16_224\.dino"),
        ("timm:vit_small_patch16_224.mae", r"'timm:vit_small_patch16_224\.mae'.*Did you mean vit_"),
        ("checkpoint", "needs its suffix"),
        (
            "ViTSmall16_Weights.SENTINEL2_ALL_DINOO",
            r"TorchGeo has no .*ViTSmall16_Weights\.SENTINEL2_ALL_DINO ",
        ),
    ],
)
def test_unknown_names_are_answered_with_the_nearest(name, near):
    with pytest.raises(ValueError, match=near):
        read_weights(name)


@pytest.mark.parametrize("source", ["timm:vit_tiny_patch16_224", "vit_tiny_patch16_224"])
def test_weights_by_a_name_of_timm(source, monkeypatch):
    with torch.device("meta"):
        model = timm.create_model("vit_tiny_patch16_224", num_classes=0)
    calls = []

    def create_model(*args, **kwargs):
        calls.append((args, kwargs))
        return model

    monkeypatch.setattr("timm.create_model", create_model)
    weights = read_weights(source)
    assert calls == [(("vit_tiny_patch16_224",), {"pretrained": True, "num_classes": 0})]
    assert len(weights.trunk) == len(model.state_dict()) - 2
    assert weights.stems[RGB][0].shape == (192, 3, 16, 16)


def test_weights_by_a_name_of_torchgeo(monkeypatch):
    calls = []

    def download(url, **kwargs):
        calls.append((url, kwargs))
        return vit(channels=13)

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", download)
    weights = read_weights("ViTSmall16_Weights.SENTINEL2_ALL_DINO")
    assert list(weights.stems) == [get_sensor("sentinel2_l1c").bands]
    assert set(weights.trunk) == set(TRUNK)
    ((url, kwargs),) = calls
    assert "sentinel2_all_dino" in url
    assert kwargs["weights_only"]
    assert kwargs["check_hash"]


def test_without_internet_the_way_out_is_told(monkeypatch):
    def fail(*_args, **_kwargs):
        raise ConnectionResetError("reset by peer")

    monkeypatch.setattr("timm.create_model", fail)
    with pytest.raises(
        OSError, match=r"vit_tiny_patch16_224 could not be downloaded.*the file\. reset by peer"
    ):
        read_weights("vit_tiny_patch16_224")


def test_a_hybrid_model_is_refused(tmp_path):
    """Its patch embedding projects the features of a convolutional network, which would be lost."""
    state = dict(vit()) | {"patch_embed.backbone.stem.conv.weight": torch.zeros(1)}
    torch.save(state, tmp_path / "hybrid.pth")
    with pytest.raises(
        ValueError, match=r"embeds patches by more than one convolution \(patch_embed.backbone"
    ):
        read_weights(str(tmp_path / "hybrid.pth"))
