"""The encoder: shared trunk, shared and separate stems, statistics held once."""

import pytest
import torch

from xstars_lightning.models import CrossSensorEncoder
from xstars_lightning.sensors import get_sensor

SENSORS = {
    "aerial": get_sensor("aerial_rgb"),
    "landsat": get_sensor("landsat_rgb"),
    "s2": get_sensor("sentinel2_l2a"),
}


@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(0)
    return CrossSensorEncoder(SENSORS).eval()


@pytest.mark.parametrize(("size", "patches"), [(48, 9), (96, 36), (224, 196)])
def test_tokens_of_any_window_size(encoder, size, patches):
    tokens = encoder(torch.rand(2, 3, size, size), "aerial")
    assert tokens.shape == (2, 1 + patches, encoder.embed_dim)


def test_sensors_with_the_same_bands_share_a_stem_and_others_do_not(encoder):
    assert len(encoder.patch_embed) == 2
    assert encoder(torch.rand(1, 12, 32, 32), "s2").shape == (1, 5, encoder.embed_dim)


def test_each_sensor_is_standardised_by_its_own_statistics(encoder):
    """The same standardised image gives the same tokens whichever sensor it comes from."""
    standardised = torch.randn(1, 3, 32, 32)
    tokens = []
    for name in ("aerial", "landsat"):
        mean, std = (torch.tensor(x)[:, None, None] for x in (SENSORS[name].mean, SENSORS[name].std))
        tokens.append(encoder(standardised * std + mean, name))
    torch.testing.assert_close(*tokens, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(encoder(standardised, "aerial"), encoder(standardised, "landsat"))


def test_statistics_travel_with_the_weights(encoder):
    state = encoder.state_dict()
    torch.testing.assert_close(state["standardize.s2.mean"].flatten(), torch.tensor(SENSORS["s2"].mean))


def test_gradient_reaches_trunk_and_every_stem():
    encoder = CrossSensorEncoder(SENSORS)
    loss = sum(
        encoder(torch.rand(2, len(sensor.bands), 32, 32), name).square().sum()
        for name, sensor in SENSORS.items()
    )
    loss.backward()
    assert [name for name, p in encoder.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_joint_pass_equals_separate_passes(encoder):
    a, b = torch.rand(2, 2, 3, 32, 32)
    joint = encoder.contextualize(torch.cat([encoder.embed(a, "aerial"), encoder.embed(b, "landsat")]))
    torch.testing.assert_close(
        joint, torch.cat([encoder(a, "aerial"), encoder(b, "landsat")]), atol=1e-5, rtol=1e-4
    )


def test_new_sensor_shares_the_stem_of_its_bands():
    encoder = CrossSensorEncoder(SENSORS)
    before = len(encoder.patch_embed)
    encoder.add_sensor("spot", get_sensor("spot_rgb"))
    assert len(encoder.patch_embed) == before
    with pytest.raises(ValueError, match=r"naip.*Known are"):
        encoder.add_sensor("naip", get_sensor("naip_rgbn"))
    encoder.add_sensor("naip", get_sensor("naip_rgbn"), new_stem=True)
    assert encoder(torch.rand(1, 4, 16, 16), "naip").shape[1] == 2
    with pytest.raises(ValueError, match="already"):
        encoder.add_sensor("spot", get_sensor("spot_rgb"))


def test_bad_input_is_named(encoder):
    with pytest.raises(ValueError, match=r"'sentinel'.*aerial, landsat, s2"):
        encoder(torch.rand(1, 3, 32, 32), "sentinel")
    with pytest.raises(ValueError, match=r"50 x 32 pixels.*16"):
        encoder(torch.rand(1, 3, 50, 32), "aerial")


@pytest.mark.parametrize("backbone", ["resnet18", "vit_enormous", "swin_tiny_patch4_window7_224"])
def test_backbone_must_be_a_vision_transformer(backbone):
    with pytest.raises(ValueError, match=rf"'{backbone}'.*vit_small"):
        CrossSensorEncoder(SENSORS, backbone)
