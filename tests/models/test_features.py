"""Every kind of network behind one door, with the bands and statistics that are its own."""

import argparse
import hashlib
from dataclasses import replace

import pytest
import timm
import torch
from torchgeo.models import get_model

from xstars_lightning.models import CrossSensorEncoder, save_encoder
from xstars_lightning.models.attention import class_attention
from xstars_lightning.models.features import Features, open_features, pool
from xstars_lightning.models.peers.tokens import NetworkFeatures
from xstars_lightning.sensors import Sensor, get_sensor

RGB, S2, OLI = get_sensor("aerial_rgb"), get_sensor("sentinel2_l1c"), get_sensor("landsat_sr")
VIT = "vit_tiny_patch16_224"
TIMM_VIT = f"{VIT}.augreg_in21k"
S2_DINO, S2_SOFTCON = (
    "ViTSmall16_Weights.SENTINEL2_ALL_DINO",
    "ViTSmall14_DINOv2_Weights.SENTINEL2_ALL_SOFTCON",
)

pytestmark = pytest.mark.filterwarnings(
    "ignore:No weights given", "ignore:.*8-bit pictures", "ignore:.*knows s2, but no sensor"
)


def images(sensor, size=32, count=2):
    generator = torch.Generator().manual_seed(0)
    return torch.rand(count, len(sensor.bands), size, size, generator=generator)


@pytest.fixture
def file_of(tmp_path):
    """Saves the tensors of a network and returns the path."""

    def save(network, name="weights.pth"):
        torch.save(network.state_dict(), tmp_path / name)
        return tmp_path / name

    return save


def torchgeo_vit(file_of, **options):
    torch.manual_seed(0)
    return file_of(get_model("vit_small_patch16_224", **options))


def test_random_initialisation_says_so():
    with pytest.warns(UserWarning, match="RANDOM INITIALISATION"):
        opened = open_features(None, "aerial", RGB, VIT, seed=3)
    assert (opened.weights_sha256, opened.patch_size, opened.name) == (None, 16, f"random {VIT}")
    assert torch.equal(
        opened.network.trunk.cls_token,
        open_features(None, "aerial", RGB, VIT, seed=3).network.trunk.cls_token,
    )


def test_ours_gives_the_tokens_of_the_encoder(tmp_path):
    encoder, path = CrossSensorEncoder({"s2": get_sensor("sentinel2_rgb")}, VIT), tmp_path / "a.safetensors"
    save_encoder(encoder, path)
    opened = open_features(str(path), "s2", get_sensor("sentinel2_rgb"))
    image = images(RGB)
    with torch.no_grad():
        tokens, (cls, patches) = encoder.eval()(image, "s2"), opened(image)
    torch.testing.assert_close(cls, tokens[:, 0])
    torch.testing.assert_close(patches.flatten(1, 2), tokens[:, 1:])
    assert opened.weights_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert opened.statistics["mean"] == list(get_sensor("sentinel2_rgb").mean)


def test_ours_picks_the_bands_that_it_knows(tmp_path):
    encoder, path = CrossSensorEncoder({"s2": get_sensor("sentinel2_rgb")}, VIT), tmp_path / "a.safetensors"
    save_encoder(encoder, path)
    opened, image = open_features(str(path), "ms", S2), images(S2)
    encoder.add_sensor(
        "rgb", replace(RGB, mean=(S2.mean[3], S2.mean[2], S2.mean[1]), std=(S2.std[3], S2.std[2], S2.std[1]))
    )
    with torch.no_grad():
        torch.testing.assert_close(opened(image).cls, encoder.eval()(image[:, [3, 2, 1]], "rgb")[:, 0])
    assert opened.statistics["bands"] == ["red", "green", "blue"]


def test_a_name_that_ours_does_not_know_is_said(tmp_path):
    encoder, path = CrossSensorEncoder({"s2": get_sensor("sentinel2_rgb")}, VIT), tmp_path / "a.safetensors"
    save_encoder(encoder, path)
    with pytest.warns(UserWarning, match=r"knows s2, but no sensor 'aerial'.*statistics of the images"):
        opened = open_features(str(path), "aerial", RGB)
    assert opened.statistics["mean"] == list(RGB.mean)


def test_a_known_name_with_pixels_that_are_scaled_in_another_way_is_refused(tmp_path):
    encoder, path = CrossSensorEncoder({"s2": get_sensor("sentinel2_rgb")}, VIT), tmp_path / "a.safetensors"
    save_encoder(encoder, path)
    sensor = replace(get_sensor("sentinel2_rgb"), value_range=(0, 3000))
    with pytest.raises(ValueError, match=r"value_range \(0, 3000\).* trained with \(0, 255\)"):
        open_features(str(path), "s2", sensor)


@pytest.fixture(scope="module")
def foreign():
    """A transformer of others in which no tensor is at its start."""
    torch.manual_seed(0)
    network = timm.create_model(VIT, num_classes=0).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return network


def release(network, **options):
    """A checkpoint as X-STARS and DINO write it."""
    state, head = network.state_dict(), {"head.mlp.0.bias": torch.zeros(2)}
    student = {f"module.backbone.{name}": torch.zeros_like(x) for name, x in state.items()}
    teacher = {f"backbone.{name}": x for name, x in state.items()} | head
    return {"student": student, "teacher": teacher, "args": argparse.Namespace(arch="vit_tiny", **options)}


def standardized(network, image, mean, std):
    """Tokens of a network behind statistics."""
    mean, std = (torch.tensor(x)[:, None, None] for x in (mean, std))
    with torch.no_grad():
        return network.forward_features((image - mean) / std)


def test_the_release_of_x_stars_brings_its_own_statistics(foreign, tmp_path):
    mean, std = [0.16, 0.15, 0.10], [0.14, 0.12, 0.09]
    torch.save(release(foreign, mean=mean, std=std), tmp_path / "checkpoint.pth")
    opened, image = (
        open_features(str(tmp_path / "checkpoint.pth"), "aerial", RGB, "vit_small_patch16_224"),
        images(RGB, 224),
    )
    cls, patches = opened(image)
    tokens = standardized(foreign, image, mean, std)
    torch.testing.assert_close(cls, tokens[:, 0])
    torch.testing.assert_close(patches.flatten(1, 2), tokens[:, 1:])
    assert opened.statistics == {"bands": ["red", "green", "blue"], "mean": mean, "std": std}
    assert opened.weights_sha256 == hashlib.sha256((tmp_path / "checkpoint.pth").read_bytes()).hexdigest()


def plain(network):
    return network.state_dict()


def mae(network):
    return {
        "model": network.state_dict() | {"mask_token": torch.zeros(1, 1, 192)},
        "args": argparse.Namespace(),
    }


@pytest.mark.parametrize("layout", [release, plain, mae])
def test_a_file_that_tells_no_statistics_gets_those_of_the_images_and_says_so(layout, foreign, tmp_path):
    torch.save(layout(foreign), tmp_path / "weights.pth")
    sensor = replace(S2, value_range=(0, 255))
    with pytest.warns(UserWarning, match=r"weights\.pth does not tell the statistics .* sensors=\{name"):
        opened = open_features(str(tmp_path / "weights.pth"), "s2", sensor)
    at, image = [3, 2, 1], images(S2, 224)
    mean, std = ([values[i] for i in at] for values in (S2.mean, S2.std))
    torch.testing.assert_close(opened(image).cls, standardized(foreign, image[:, at], mean, std)[:, 0])
    assert opened.statistics == {"bands": ["red", "green", "blue"], "mean": mean, "std": std}


def changed(network, **changes):
    state = network.state_dict() | changes
    return {name: tensor for name, tensor in state.items() if tensor is not None}


@pytest.mark.filterwarnings("ignore:.*does not tell the statistics")
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"norm.weight": None}, r"does not fit vit_tiny_patch16_224: 1 of .*norm\.weight"),
        ({"blocks.3.attn.qkv.weight": torch.zeros(2)}, r"1 of .*blocks\.3\.attn\.qkv\.weight"),
        ({"patch_embed.proj.weight": None}, "no patch embedding"),
        ({"patch_embed.proj.weight": torch.zeros(192, 3, 8, 8)}, "patches of 8 pixels, .* of 16"),
        ({"patch_embed.proj.weight": torch.zeros(192, 4, 16, 16)}, r"band_1.*'aerial_rgb'.*Missing"),
        ({"norm_pre.weight": torch.zeros(192)}, r"no place for .*norm_pre\.weight"),
    ],
)
def test_a_part_of_a_network_is_never_evaluated(changes, message, foreign, tmp_path):
    torch.save(changed(foreign, **changes), tmp_path / "part.pth")
    with pytest.raises(ValueError, match=rf"part\.pth.*{message}"):
        open_features(str(tmp_path / "part.pth"), "aerial", RGB)


def test_a_file_without_a_transformer_is_no_random_network(tmp_path):
    torch.save({"conv1.weight": torch.zeros(2)}, tmp_path / "resnet.pth")
    with pytest.raises(ValueError, match=r"resnet\.pth holds no vision transformer"):
        open_features(str(tmp_path / "resnet.pth"), "aerial", RGB)


def test_timm_takes_the_teacher_of_a_checkpoint(foreign, tmp_path):
    torch.save(release(foreign), tmp_path / "dino.pth")
    opened, image = open_features(f"timm:{TIMM_VIT}={tmp_path / 'dino.pth'}", "aerial", RGB), images(RGB, 224)
    tokens = standardized(foreign, image, [0.5] * 3, [0.5] * 3)
    torch.testing.assert_close(opened(image).cls, tokens[:, 0])


def test_timm_says_that_reflectance_is_no_picture(file_of):
    with pytest.warns(
        UserWarning, match=rf"timm:{TIMM_VIT} was trained on 8-bit pictures, .*'sentinel2_l1c'"
    ):
        open_features(f"timm:{TIMM_VIT}={file_of(timm.create_model(TIMM_VIT))}", "s2", S2)


def test_tokens_are_normalised_where_timm_does_so_after_pooling():
    torch.manual_seed(0)
    network = timm.create_model(VIT, num_classes=0, global_pool="avg").eval()
    assert isinstance(network.norm, torch.nn.Identity)
    torch.nn.init.normal_(network.fc_norm.weight)
    opened, image = NetworkFeatures("avg", RGB, RGB.bands, network, RGB.mean, RGB.std), images(RGB, 224)
    tokens = network.fc_norm(standardized(network, image, RGB.mean, RGB.std))
    torch.testing.assert_close(opened(image).cls, tokens[:, 0])
    torch.testing.assert_close(opened(image).patches.flatten(1, 2), tokens[:, 1:])


def test_timm_transformer_stands_behind_its_own_statistics(file_of):
    network = timm.create_model(TIMM_VIT)
    opened, image = open_features(f"timm:{TIMM_VIT}={file_of(network)}", "ms", S2), images(S2, 224)
    with torch.no_grad():
        tokens = network.eval().forward_features((image[:, [3, 2, 1]] - 0.5) / 0.5)
        cls, patches = opened(image)
    torch.testing.assert_close(cls, tokens[:, 0])
    torch.testing.assert_close(patches.flatten(1, 2), tokens[:, 1:])
    assert opened.statistics == {"bands": ["red", "green", "blue"], "mean": [0.5] * 3, "std": [0.5] * 3}
    assert opened(images(S2, 48)).patches.shape == (2, 3, 3, 192)


def test_convolutional_network_has_a_map_and_no_class_token(file_of):
    network = timm.create_model("resnet18.a1_in1k")
    opened, image = open_features(f"timm:resnet18.a1_in1k={file_of(network)}", "aerial", RGB), images(RGB, 64)
    mean, std = (torch.tensor(x)[:, None, None] for x in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.no_grad():
        features = opened(image)
        torch.testing.assert_close(
            features.patches.permute(0, 3, 1, 2), network.eval().forward_features((image - mean) / std)
        )
    assert (features.cls, opened.patch_size) == (None, None)
    assert pool(features, "mean").shape == (2, 512)
    with pytest.raises(ValueError, match="no class token"):
        pool(features, "cls")


def test_torchgeo_gets_digital_numbers_in_its_own_order_of_bands(file_of):
    """The statistics of these weights are those of SSL4EO-S12 in digital numbers."""
    network = get_model("vit_small_patch14_dinov2", in_chans=13, img_size=224, dynamic_img_size=True)
    shuffled = tuple(reversed(S2.bands))
    sensor = replace(S2, bands=shuffled, mean=S2.mean[::-1], std=S2.std[::-1], value_range=(1000, 11000))
    opened, image = open_features(f"{S2_SOFTCON}={file_of(network)}", "s2", sensor), images(S2, 28)
    mean = torch.tensor(
        [1612.9, 1397.6, 1322.3, 1373.1, 1561.0, 2108.4, 2390.7, 2318.7, 2581.0, 837.7, 22.0, 2195.2, 1537.4]
    )[:, None, None]
    std = torch.tensor(
        [791.0, 854.3, 878.7, 1144.9, 1127.5, 1164.2, 1276.0, 1249.5, 1345.9, 577.5, 47.5, 1340.0, 1142.9]
    )[:, None, None]
    with torch.no_grad():
        expected = network.eval().forward_features((10000 * image - mean) / std)[:, 0]
        torch.testing.assert_close(opened(image.flip(1)).cls, expected, rtol=1e-3, atol=1e-4)
    assert opened.statistics["bands"] == list(S2.bands)


def test_landsat_bytes_of_torchgeo_are_reached_from_reflectance(file_of):
    path = torchgeo_vit(file_of, in_chans=7)
    opened = open_features(f"ViTSmall16_Weights.LANDSAT_OLI_SR_MOCO={path}", "l8", OLI)
    assert opened.statistics["std"] == pytest.approx([0.3] * 7)  # 255 stands for a reflectance of 0.3
    bytes_ = replace(OLI, value_range=(0, 255))
    opened = open_features(f"ViTSmall16_Weights.LANDSAT_OLI_SR_MOCO={path}", "l8", bytes_)
    assert opened.statistics["std"] == pytest.approx([1] * 7)


def test_decibels_are_those_of_the_sensor(file_of):
    radar = Sensor("s1", ("vh", "vv"), 10, (-50, 10), (0.5,) * 2, (0.1,) * 2, ("vv",) * 3)
    path = torchgeo_vit(file_of, in_chans=2)
    opened = open_features(f"ViTSmall16_Weights.SENTINEL1_GRD_MAE={path}", "s1", radar)
    assert opened.statistics["bands"] == ["vv", "vh"]
    assert opened.statistics["mean"] == pytest.approx([(50 - 12.59) / 60, (50 - 20.26) / 60])
    assert opened.statistics["std"] == pytest.approx([5.26 / 60, 5.91 / 60])


def test_pictures_given_to_weights_of_reflectance_are_said(file_of):
    sensor = replace(S2, value_range=(0, 255))
    with pytest.warns(UserWarning, match="8-bit pictures"):
        open_features(f"{S2_DINO}={torchgeo_vit(file_of, in_chans=13)}", "s2", sensor)


def test_swin_of_torchvision(file_of):
    path = file_of(get_model("swin_v2_t"))
    opened = open_features(f"Swin_V2_T_Weights.SENTINEL2_MI_RGB_SATLAS={path}", "aerial", RGB)
    assert opened(images(RGB, 64)).patches.shape == (2, 2, 2, 768)
    assert opened.statistics["std"] == pytest.approx([1, 1, 1])


def test_pixels_are_pooled():
    opened, image = open_features("pixels", "aerial", RGB), images(RGB, 32)
    cls, patches = opened(image)
    mean, std = (torch.tensor(x)[:, None] for x in (RGB.mean, RGB.std))
    corner = (image[:, :, :4, :4].flatten(2).mean(2) - mean[:, 0]) / std[:, 0]
    torch.testing.assert_close(patches[:, 0, 0], corner)
    assert cls.shape == (2, 3 * 64)


def test_random_convolution_is_seeded_and_local():
    opened, again, other = (open_features("random-convolution", "a", RGB, seed=seed) for seed in (0, 0, 1))
    image = images(RGB, 48, count=9)
    assert torch.equal(opened(image).cls, again(image).cls)
    assert not torch.equal(opened(image).cls, other(image).cls)
    changed = image.clone()
    changed[:, :, :8, :8] += 1
    moved = (opened(image).patches - opened(changed).patches).abs().amax(dim=(0, 3)) > 1e-5
    assert moved.tolist() == [[True, False, False], [False] * 3, [False] * 3]


def test_pooling():
    features = Features(torch.tensor([[1.0, 2]]), torch.tensor([[[[1.0, 0], [3, 0]]]]))
    assert pool(features, "cls").tolist() == [[1, 2]]
    assert pool(features, "mean").tolist() == [[2, 0]]
    assert pool(features, "cls+mean").tolist() == [[1, 2, 2, 0]]
    with pytest.raises(ValueError, match="'max'"):
        pool(features, "max")


def test_attention_is_that_of_the_last_block():
    opened, image = open_features(None, "aerial", RGB, VIT), images(RGB, 48)
    shares = class_attention(opened, image)
    assert shares.shape == (2, 3, 3, 3)
    attention, seen = opened.network.trunk.blocks[-1].attn, []
    attention.fused_attn = False
    handle = attention.attn_drop.register_forward_hook(lambda module, inputs, output: seen.append(output))
    opened(image)
    handle.remove()
    torch.testing.assert_close(shares.flatten(2), seen[0][:, :, 0, 1:])
    assert class_attention(open_features("pixels", "aerial", RGB), image) is None


@pytest.mark.parametrize(
    ("weights", "sensor", "error", "message"),
    [
        ("timm:vit_tiny_patch16_225", RGB, ValueError, "no pretrained model 'vit_tiny_patch16_225'"),
        (f"timm:{TIMM_VIT}=missing.pth", RGB, FileNotFoundError, r"missing\.pth"),
        ("ViTSmall16_Weights.SENTINEL9", S2, ValueError, "SENTINEL9"),
        ("DOFABase16_Weights.DOFA_MAE", S2, ValueError, "more than images"),
        ("Swin_V2_T_Weights.SENTINEL2_MI_MS_SATLAS=FILE", S2, ValueError, "mixes 8-bit"),
        ("missing.ckpt", RGB, FileNotFoundError, r"missing\.ckpt"),
    ],
)
def test_what_cannot_be_opened(weights, sensor, error, message, file_of):
    if weights.endswith("=FILE"):
        network = get_model("swin_v2_t")
        network.features[0][0] = torch.nn.Conv2d(9, 96, 4, 4)
        network.head = torch.nn.Identity()
        weights = weights.replace("FILE", str(file_of(network)))
    with pytest.raises(error, match=message):
        open_features(weights, "x", sensor)


def test_bands_that_are_missing_are_named_with_those_that_there_are(file_of):
    with pytest.raises(ValueError, match=r"coastal.*'aerial_rgb' have red, green, blue. Missing: coastal"):
        open_features(f"{S2_DINO}={torchgeo_vit(file_of, in_chans=13)}", "aerial", RGB)


def test_tensors_that_do_not_fit(file_of):
    with pytest.raises(ValueError, match=r"weights\.pth does not fit"):
        open_features(f"{S2_DINO}={torchgeo_vit(file_of, in_chans=12)}", "s2", S2)


def test_images_that_do_not_fit():
    opened = open_features(None, "aerial", RGB, VIT)
    with pytest.raises(ValueError, match=r"40 x 40 pixels .* patches of 16"):
        opened(images(RGB, 40))
    with pytest.raises(ValueError, match="Images of 13 bands"):
        opened(images(S2, 32))
