"""Filters go to the bands they were trained for, and the response keeps its size."""

import pytest
import torch
import torch.nn.functional as F

from xstars_lightning.models.stems import choose_stem, fit_stem, name_bands
from xstars_lightning.sensors import get_sensor

RGB = ("red", "green", "blue")


def stem(*values, patch=2):
    """A stem whose filter of each band is constant."""
    weight = torch.tensor(values, dtype=torch.float32)[None, :, None, None]
    return weight.expand(5, len(values), patch, patch).contiguous(), torch.arange(5.0)


def filters(fitted):
    weight, bias = fitted
    assert (weight == weight[:1, :, :1, :1]).all()
    assert torch.equal(bias, torch.arange(5.0))
    return weight[0, :, 0, 0].tolist()


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("match", [9 * 0.6, 2 * 0.6, 1 * 0.6, 4 * 0.6, 4 * 0.6]),  # the mean of 1, 2, 9 is 4
        ("mean", [4 * 0.6] * 5),
        ("repeat", [1 * 0.6, 2 * 0.6, 9 * 0.6, 1 * 0.6, 2 * 0.6]),
    ],
)
def test_rules_give_these_filters(rule, expected):
    fitted = fit_stem(stem(1, 2, 9), RGB, ("blue", "green", "red", "nir", "swir16"), 2, rule)
    assert filters(fitted) == pytest.approx(expected)


@pytest.mark.parametrize("rule", ["mean", "repeat", "match"])
@pytest.mark.parametrize("bands", [(*RGB, "nir", "nir08", "nir09"), ("blue", "red", "green")])
def test_an_image_constant_over_bands_keeps_its_response(rule, bands):
    weight, bias = torch.randn(4, 3, 2, 2), torch.randn(4)
    fitted, _ = fit_stem((weight, bias), RGB, bands, 2, rule)
    torch.testing.assert_close(fitted.sum(1), weight.sum(1))


def test_bands_in_another_order_give_the_same_response():
    weight, bias = torch.randn(4, 3, 2, 2), torch.randn(4)
    image, order = torch.rand(1, 3, 2, 2), [2, 0, 1]
    fitted = fit_stem((weight, bias), RGB, [RGB[i] for i in order], 2, "match")
    torch.testing.assert_close(F.conv2d(image[:, order], *fitted), F.conv2d(image, weight, bias))


def test_patches_of_another_size_respond_alike_to_enlarged_images():
    weight, bias = torch.randn(6, 3, 4, 4), torch.randn(6)
    image = torch.rand(1, 3, 4, 4)
    fitted = fit_stem((weight, bias), RGB, RGB, 8, "match")
    assert fitted[0].shape == (6, 3, 8, 8)
    larger = F.interpolate(image, (8, 8), mode="bicubic", antialias=True)
    torch.testing.assert_close(F.conv2d(larger, *fitted), F.conv2d(image, weight, bias), atol=1e-3, rtol=1e-3)


def test_half_precision_is_averaged_in_single():
    weight = torch.full((2, 2, 2, 2), 1.0, dtype=torch.float16)
    weight[:, 1] += 2**-10
    fitted, _ = fit_stem((weight, torch.zeros(2)), ("a", "b"), ("c",), 2, "mean")
    assert fitted.unique().item() == 2 + 2**-10


def test_the_stem_that_shares_most_bands_is_chosen():
    stems = {
        ("red",): stem(7),
        (*RGB, "nir", "nir08"): stem(1, 1, 1, 1, 1),
        (*RGB, "nir"): stem(3, 3, 3, 3),
        ("nir", "nir08"): stem(8, 8),
    }
    fitted, how = choose_stem(stems, RGB, 2, "match")
    assert how == "match of red, green, blue, nir"
    assert filters(fitted) == pytest.approx([4, 4, 4])


@pytest.mark.parametrize("rule", ["match", "mean", "repeat", "new"])
def test_the_stem_of_exactly_these_bands_is_copied_whatever_the_rule(rule):
    stems = {(*RGB, "nir"): stem(1, 1, 1, 1), RGB: stem(1, 2, 3)}
    fitted, how = choose_stem(stems, RGB, 2, rule)
    assert how == "copied"
    assert filters(fitted) == [1, 2, 3]


def test_what_was_done_is_told():
    stems = {("band_1", "band_2"): stem(1, 2)}
    assert choose_stem(stems, RGB, 2, "new") == (None, "new")
    assert choose_stem({}, RGB, 2, "new") == (None, "new")
    assert choose_stem(stems, RGB, 2, "match")[1] == "match of band_1, band_2 (no band in common)"
    assert choose_stem(stems, RGB, 4, "repeat")[1] == "repeat of band_1, band_2, resampled from 2 to 4 pixels"


def test_bands_get_the_names_of_the_catalogue():
    sentinel2 = [f"B{n}" for n in range(1, 9)] + ["B8a"] + [f"B{n}" for n in range(9, 13)]
    assert name_bands(13, sentinel2, "SENTINEL2_ALL_DINO") == get_sensor("sentinel2_l1c").bands
    assert name_bands(3, ["B04", "B03", "B02"], "SENTINEL2_RGB") == RGB
    oli = [f"SR_B{n}" for n in range(1, 8)]
    assert name_bands(7, oli, "LANDSAT_OLI_SR_MOCO") == get_sensor("landsat_sr").bands
    # The same number is another band on another satellite.
    etm = ["B1", "B2", "B3", "B4", "B5", "B6_VCID_1", "B6_VCID_2", "B7", "B8"]
    expected = ("blue", "green", "red", "nir08", "swir16", "band_6", "band_7", "swir22", "band_9")
    assert name_bands(9, etm, "LANDSAT_ETM_TOA_SIMCLR") == expected


def test_bands_of_which_nothing_is_known_are_numbered():
    assert name_bands(2, ["VV", "VH"], "SENTINEL1_GRD_MAE") == ("band_1", "band_2")
    assert name_bands(4) == ("band_1", "band_2", "band_3", "band_4")
    assert name_bands(3) == RGB
    assert name_bands(3, ["R", "G", "B"], "NAIP_RGB") == RGB
