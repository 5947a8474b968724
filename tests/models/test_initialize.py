"""An encoder gives the tokens of the transformer it was initialised from, or is left as it was."""

import argparse

import pytest
import timm
import torch

from xstars_lightning.models import CrossSensorEncoder, Pretrained, initialize, read_weights, save_encoder
from xstars_lightning.sensors import Sensor, get_sensor

RGB = ("red", "green", "blue")
RGBN = (*RGB, "nir")


def plain(*bands):
    """A sensor that standardises nothing."""
    return Sensor("plain", bands, 10, (0, 1), (0.0,) * len(bands), (1.0,) * len(bands), bands[:3])


def encoder(sensors=None, backbone="vit_tiny_patch16_224"):
    return CrossSensorEncoder(sensors or {"rgb": plain(*RGB)}, backbone).eval()


@pytest.fixture(scope="module")
def model():
    """A transformer in which no tensor is at its start."""
    torch.manual_seed(0)
    model = timm.create_model("vit_tiny_patch16_224", num_classes=0).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


@pytest.fixture(scope="module")
def ours():
    """An encoder, to be initialised again and again."""
    return encoder()


@pytest.fixture
def spoilt(ours):
    """An encoder that has nothing of the transformer."""
    with torch.no_grad():
        for parameter in ours.parameters():
            parameter.fill_(0.5)
    return ours


@pytest.fixture(scope="module")
def image():
    return torch.rand(1, 3, 224, 224)


def pretrained(model, bands=RGB, **changes):
    """Weights of a timm model; a tensor that is changed to None is left out."""
    state = model.state_dict() | changes
    trunk = {name: x for name, x in state.items() if not name.startswith("patch_embed.") and x is not None}
    stem = state["patch_embed.proj.weight"], state["patch_embed.proj.bias"]
    return Pretrained("some weights", trunk, {bands: stem}, {})


def dino(state):
    zeros = {f"module.backbone.{name}": torch.zeros_like(x) for name, x in state.items()}
    teacher = {f"backbone.{name}": x for name, x in state.items()} | {"head.mlp.0.bias": torch.zeros(2)}
    return {"student": zeros, "teacher": teacher, "args": argparse.Namespace(arch="vit_tiny")}


def mae(state):
    decoder = {"decoder_embed.bias": torch.zeros(2), "mask_token": torch.zeros(1, 1, 192)}
    return {"model": state | decoder, "epoch": 800}


def lightning(state):
    return {"state_dict": {f"model.{name}": x for name, x in state.items()}}


@pytest.mark.parametrize("layout", [dino, mae, lightning, dict])
def test_tokens_are_those_of_the_transformer_whatever_the_layout(layout, model, spoilt, image, tmp_path):
    torch.save(layout(model.state_dict()), tmp_path / "weights.pth")
    report = initialize(spoilt, str(tmp_path / "weights.pth"))
    torch.testing.assert_close(spoilt(image, "rgb"), model.forward_features(image), atol=1e-5, rtol=1e-5)
    assert report.matched == report.total == 148
    assert report.stems == {"red-green-blue": "copied"}
    assert report.position == "copied"


def test_weights_by_name(model, spoilt, image, monkeypatch):
    monkeypatch.setattr("timm.create_model", lambda *_args, **_kwargs: model)
    report = initialize(spoilt, "timm:vit_tiny_patch16_224")
    torch.testing.assert_close(spoilt(image, "rgb"), model.forward_features(image), atol=1e-5, rtol=1e-5)
    assert report.source == "timm:vit_tiny_patch16_224"


def test_the_report_tells_what_was_ignored(model, ours, tmp_path):
    state = mae(model.state_dict() | {"fc_norm.weight": torch.ones(192)})
    torch.save(state, tmp_path / "mae.pth")
    report = initialize(ours, str(tmp_path / "mae.pth"))
    assert set(report.ignored) == {"decoder_embed.bias", "mask_token", "fc_norm.weight"}
    text = str(report)
    assert "mae.pth: 148 of 148" in text
    assert "red-green-blue: copied" in text
    assert "3 ignored (decoder_embed.bias, mask_token, fc_norm.weight)" in text


def test_parameters_stay_the_same_objects_and_statistics_as_they_are(model):
    ours = encoder({"aerial": get_sensor("aerial_rgb")})
    before = dict(ours.named_parameters())
    initialize(ours, pretrained(model))
    after = dict(ours.named_parameters())
    assert all(after[name] is parameter and parameter.requires_grad for name, parameter in before.items())
    torch.testing.assert_close(
        ours.standardize["aerial"].mean.flatten(), torch.tensor(get_sensor("aerial_rgb").mean)
    )


def test_position_embedding_of_another_grid_is_resized(spoilt, image):
    smaller = timm.create_model("vit_tiny_patch16_224", num_classes=0, img_size=96)
    report = initialize(spoilt, pretrained(smaller))
    assert report.position == "resized from 6 x 6 to 14 x 14 patches"
    assert report.position in str(report)
    expected = timm.layers.resample_abs_pos_embed(smaller.pos_embed.detach(), [14, 14])
    assert torch.equal(spoilt.trunk.pos_embed, expected)
    assert torch.equal(spoilt.trunk.pos_embed[:, 0], smaller.pos_embed[:, 0])
    assert spoilt(image, "rgb").shape == (1, 197, 192)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"norm.weight": None, "blocks.3.attn.qkv.bias": None},
            r"2 of 148 .*\(blocks\.3\.attn\.qkv\.bias, norm\.weight\).*are they complete",
        ),
        ({"norm.bias": torch.zeros(7)}, r"1 of 148 .*norm\.bias \(7,\) instead of \(192,\)"),
        ({"pos_embed": torch.zeros(1, 199, 192)}, r"pos_embed \(1, 199, 192\) instead of \(1, 197, 192\)"),
        ({"register_tokens": torch.zeros(1, 4, 192)}, r"\(register_tokens\).*have no register tokens"),
        ({"blocks.0.ls1.gamma": torch.ones(192)}, r"no place for 1 of.*\(blocks\.0\.ls1\.gamma\)"),
        ({"patch_embed.proj.bias": torch.zeros(1)}, r"width \{1\}, tokens of 192"),
    ],
)
def test_weights_that_do_not_fit_change_nothing(changes, reason, model, ours):
    before = {name: tensor.clone() for name, tensor in ours.state_dict().items()}
    with pytest.raises(ValueError, match=rf"some weights.*{reason}"):
        initialize(ours, pretrained(model, **changes))
    assert all(torch.equal(tensor, before[name]) for name, tensor in ours.state_dict().items())


def test_a_file_of_which_nothing_matches_is_refused(ours, tmp_path):
    torch.save({"blocks.0.conv.weight": torch.zeros(2), "stem.weight": torch.zeros(2)}, tmp_path / "cnn.pth")
    with pytest.raises(
        ValueError, match=r"cnn\.pth does not fit .*148 of 148 .*\(cls_token, pos_embed, .*\.\.\.\)"
    ):
        initialize(ours, str(tmp_path / "cnn.pth"))


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("vit_tiny_patch16_224", "vit_small_patch16_224"),
        ("vit_small_patch8_224", "vit_tiny_patch16_224"),
        ("vit_small_patch14_dinov2", "vit_tiny_patch16_224"),
    ],
)
def test_the_backbone_that_would_fit_is_named(theirs, ours):
    with torch.device("meta"):  # shapes are enough
        shapes, weights = encoder(backbone=ours), pretrained(timm.create_model(theirs, num_classes=0))
    with pytest.raises(ValueError, match=rf"does not fit {ours}.*as the backbone {theirs} has"):
        initialize(shapes, weights)


def test_stems_for_other_bands_are_made_by_the_rule(model):
    weight = model.patch_embed.proj.weight.detach()
    ours = encoder({"rgb": plain(*RGB), "naip": plain(*RGBN)})
    report = initialize(ours, pretrained(model))
    assert report.stems == {"red-green-blue": "copied", "red-green-blue-nir": "match of red, green, blue"}
    made = ours.patch_embed["red-green-blue-nir"].proj
    torch.testing.assert_close(made.weight[:, 1], weight[:, 1] * 0.75)
    torch.testing.assert_close(made.weight[:, 3], weight.mean(1) * 0.75)
    assert torch.equal(made.bias, model.patch_embed.proj.bias)


def test_new_leaves_stems_for_other_bands_at_random(model):
    ours = encoder({"rgb": plain(*RGB), "naip": plain(*RGBN)})
    before = ours.patch_embed["red-green-blue-nir"].proj.weight.clone()
    report = initialize(ours, pretrained(model), "new")
    assert report.stems == {"red-green-blue": "copied", "red-green-blue-nir": "new"}
    assert torch.equal(ours.patch_embed["red-green-blue-nir"].proj.weight, before)


def test_weights_without_a_patch_embedding_need_the_rule_new(model, ours):
    weights = Pretrained("some weights", pretrained(model).trunk, {}, {})
    with pytest.raises(ValueError, match=r"some weights has no patch embedding.*'new'"):
        initialize(ours, weights)
    assert initialize(ours, weights, "new").stems == {"red-green-blue": "new"}


def test_unknown_rule(ours):
    with pytest.raises(ValueError, match=r"'average'.*match, mean, repeat, new"):
        initialize(ours, "nowhere.pth", "average")


def test_thirteen_bands_of_torchgeo_go_to_the_twelve_of_level_2a(monkeypatch):
    l1c, l2a = get_sensor("sentinel2_l1c").bands, get_sensor("sentinel2_l2a").bands
    theirs = timm.create_model("vit_tiny_patch16_224", num_classes=0, in_chans=13)
    monkeypatch.setattr(
        "torchvision.models._api.load_state_dict_from_url", lambda *_args, **_kwargs: theirs.state_dict()
    )
    ours = encoder({"s2": get_sensor("sentinel2_l2a")})
    report = initialize(ours, "ViTSmall16_Weights.SENTINEL2_ALL_DINO")
    assert report.stems == {"-".join(l2a): f"match of {', '.join(l1c)}"}
    kept = theirs.patch_embed.proj.weight.detach()[
        :, [i for i in range(13) if i != 10]
    ]  # without B10, cirrus
    torch.testing.assert_close(ours.patch_embed["-".join(l2a)].proj.weight.detach(), kept * 13 / 12)


def test_an_encoder_of_ours_gives_all_its_stems(tmp_path):
    sensors = {"aerial": get_sensor("aerial_rgb"), "s2": get_sensor("sentinel2_l2a")}
    first = encoder(sensors)
    save_encoder(first, tmp_path / "first.safetensors")
    second = encoder(sensors | {"landsat": get_sensor("landsat_sr")})
    report = initialize(second, read_weights(str(tmp_path / "first.safetensors")))
    assert list(report.stems.values())[:2] == ["copied", "copied"]
    assert report.stems["-".join(get_sensor("landsat_sr").bands)].startswith("match of coastal, blue")
    for name, sensor in sensors.items():
        window = torch.rand(1, len(sensor.bands), 32, 32)
        assert torch.equal(first(window, name), second(window, name))


def test_the_report_tells_which_patch_embeddings_the_weights_knew(ours):
    radar = Sensor("radar", ("vv",), 10, (-30, 0), (0.5,), (0.2,), ("vv", "vv", "vv"))
    sensors = {"rgb": plain(*RGB), "radar": radar, "rgbn": plain(*RGBN)}
    trunk = ours.trunk.state_dict()
    stem = ours.patch_embed["red-green-blue"].proj
    weights = Pretrained("here", trunk, {RGB: (stem.weight, stem.bias)}, {})
    report = initialize(encoder(sensors), weights)
    assert report.known == ("red-green-blue",)
    assert report.related == ("red-green-blue", "red-green-blue-nir")
