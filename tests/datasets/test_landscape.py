"""The landscape on its own: classes, variety, determinism, scale."""

import numpy as np
import pytest
from scipy.ndimage import zoom

from xstars_lightning.datasets.landscape import LandCover, Landscape, make_landscape
from xstars_lightning.datasets.simulation.grids import point_spread, resample
from xstars_lightning.datasets.simulation.noise import band_noise

SHAPE = (640, 720)


def landscape(seed: int) -> Landscape:
    return make_landscape(SHAPE, 1.5, np.random.default_rng(seed))


@pytest.fixture(scope="module")
def lands() -> list[Landscape]:
    return [landscape(seed) for seed in range(3)]


def test_all_classes_are_present(lands):
    found = {LandCover(value) for land in lands for value in np.unique(land.cover)}
    assert found == set(LandCover) - {LandCover.UNLABELLED}


def test_fields_have_the_size_of_the_grid(lands):
    land = lands[0]
    fields = (land.surface, land.height, land.relief, land.texture, land.vigour, land.cover)
    assert all(field.shape == SHAPE for field in fields)
    assert land.surface.dtype == np.uint16
    assert land.cover.dtype == np.uint8
    assert all(np.isfinite(field).all() for field in fields)


def test_countryside_dominates(lands):
    share = np.bincount(np.concatenate([land.cover.ravel() for land in lands]), minlength=8)
    share = share / share.sum()
    green = share[[LandCover.WOODS, LandCover.GRASSLAND, LandCover.CROPLAND]].sum()
    assert green > 0.7
    assert share[LandCover.BUILDING] < 0.1


def test_buildings_and_trees_stand_above_level_water_and_roads(lands):
    for land in lands:
        assert land.height[land.cover == LandCover.BUILDING].min() > 3
        assert not land.height[np.isin(land.cover, (LandCover.WATER, LandCover.ROAD))].any()


def test_same_seed_same_landscape_other_seed_another(lands):
    again = landscape(0)
    assert np.array_equal(again.surface, lands[0].surface)
    assert np.array_equal(again.texture, lands[0].texture)
    assert (lands[1].cover != lands[0].cover).mean() > 0.3


def test_wavelengths_of_noise_are_in_metres():
    noise = band_noise((512, 512), 1.5, (60, 120), np.random.default_rng(0))
    power = np.abs(np.fft.rfft2(noise)) ** 2
    frequency = np.hypot(np.fft.fftfreq(512, 1.5)[:, None], np.fft.rfftfreq(512, 1.5)[None])
    inside = (frequency > 1 / 130) & (frequency < 1 / 55)
    assert power[inside].sum() > 0.9 * power.sum()


def test_point_spread_leaves_a_fifth_of_the_finest_contrast():
    x = (np.arange(3000) + 0.5) * 0.5
    operator = point_spread(3000, 0.5, 150, 10.0)
    wave = operator @ np.cos(2 * np.pi * (x - 5) / 20).astype(np.float32)
    assert np.abs(wave[10:-10]).mean() == pytest.approx(0.2, abs=0.01)
    np.testing.assert_allclose(operator.sum(axis=1), 1, atol=1e-5)


def test_point_spread_does_not_shift():
    image = zoom(np.random.default_rng(0).random((12, 12)), 40, order=1).astype(np.float32)
    operator = point_spread(480, 1.5, 72, 10.0)
    centre = (np.arange(72) + 0.5) * 10 / 1.5 - 0.5
    rows = np.arange(480)
    # A linear ramp must come out as the same ramp at the pixel centres.
    ramp = operator @ rows.astype(np.float32)
    np.testing.assert_allclose(ramp[5:-5], centre[5:-5], atol=0.05)
    assert resample(image, operator, operator).mean() == pytest.approx(image.mean(), rel=0.02)
