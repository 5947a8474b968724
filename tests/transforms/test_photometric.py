"""What is changed is changed as drawn, and nothing else."""

import pytest
import torch
from kornia.filters import gaussian_blur2d

from xstars_lightning.transforms import Photometric

NOTHING = {"gain": 0.0, "offset": 0.0, "gray": 0.0, "blur": 0.0}


def images(count=64, bands=4):
    torch.manual_seed(0)
    return torch.rand(count, bands, 24, 20)


def same(a, b):
    return (a - b).abs().amax(dim=(1, 2, 3)) < 1e-6


def test_nothing_happens_where_nothing_may():
    before = images()
    torch.testing.assert_close(Photometric(**NOTHING)(before), before)


def test_what_comes_in_is_left_as_it_is():
    before = images()
    kept = before.clone()
    Photometric()(before)
    assert torch.equal(before, kept)


@pytest.mark.parametrize("what", ["gain", "offset"])
def test_each_image_has_one_gain_and_one_offset_most_of_the_time(what):
    before = images(512) + 0.1
    after = Photometric(**NOTHING | {what: 0.3})(before)
    change = (after / before if what == "gain" else after - before).flatten(1)
    assert change.std(dim=1).max() < 1e-4
    strength = change.mean(dim=1) - float(what == "gain")
    assert strength.abs().max() <= 0.3 + 1e-5
    assert strength.max() > 0.25
    assert strength.min() < -0.25
    assert same(after, before).float().mean() == pytest.approx(0.2, abs=0.06)


def test_a_share_of_images_loses_its_colour():
    before = images(512)
    after = Photometric(**NOTHING | {"gray": 0.3})(before)
    gray = same(after, before.mean(dim=1, keepdim=True).expand_as(before))
    assert gray.float().mean() == pytest.approx(0.3, abs=0.06)
    assert (gray ^ same(after, before)).all()


def test_a_share_of_images_is_blurred_each_by_its_own_sigma():
    before = images(512)
    after = Photometric(**NOTHING | {"blur": 0.5})(before)
    blurred = ~same(after, before)
    # A sigma of less than 0.2 pixels, one in twenty, does nothing that could be seen.
    assert blurred.float().mean() == pytest.approx(0.5 * 0.95, abs=0.07)
    sigmas = torch.linspace(0.1, 2.0, 39)
    candidates = torch.stack([gaussian_blur2d(before, (9, 9), (float(x), float(x))) for x in sigmas])
    distance = (candidates - after).pow(2).mean(dim=(2, 3, 4)).sqrt()[:, blurred]
    nearest = sigmas[distance.argmin(dim=0)]
    assert distance.amin(dim=0).max() < 0.02  # that of a random image to another is 0.4
    assert nearest.min() < 0.4
    assert nearest.max() > 1.8
    assert nearest.mean() == pytest.approx(1.1, abs=0.12)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU that could be waited for")
def test_nobody_waits_for_a_gpu():
    before, change = images().cuda(), Photometric()
    change(before)
    torch.cuda.set_sync_debug_mode("error")
    try:
        change(before)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_values_above_one_survive():
    bright = images(64, 12) * 1.5
    changed = Photometric()(bright)
    assert changed.max() > 1.5
    assert changed.mean() == pytest.approx(0.75, abs=0.1)


def test_same_seed_same_result_and_no_other():
    before, change = images(), Photometric()
    first, second = (torch.manual_seed(seed) and change(before) for seed in (1, 2))
    torch.manual_seed(1)
    assert torch.equal(change(before), first)
    assert not torch.allclose(first, second)


def test_float32_under_autocast():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert Photometric()(images()).dtype == torch.float32


def test_one_image_and_none():
    assert Photometric()(images(1)).shape == (1, 4, 24, 20)
    assert Photometric()(images(0)).shape == (0, 4, 24, 20)
