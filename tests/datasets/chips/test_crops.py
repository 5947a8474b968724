"""Crops of images whose values are ground coordinates show the same ground."""

from fractions import Fraction

import numpy as np
import pytest

from xstars_lightning.datasets.chips.crops import Crops, common_step

MSC = {"spot": 1.5, "sentinel2": 10.0, "landsat": 30.0}
MSC_SHAPES = {"spot": (240, 400), "sentinel2": (36, 60), "landsat": (12, 20)}


def ground_of(part, pixel, extent, count):
    """First and last metre of a slice of an image that is centred on the ground."""
    margin = (count * pixel - extent) / 2
    return part.start * pixel - margin, part.stop * pixel - margin


@pytest.mark.parametrize(
    ("resolutions", "step"),
    [
        (MSC.values(), 30),
        ((0.2, 10), 10),
        ((0.2, 1.6, 10.24), Fraction("51.2")),
        ((0.2, 1.6), Fraction("1.6")),
    ],
)
def test_the_step_is_whole_pixels_of_all(resolutions, step):
    assert common_step(resolutions) == step


def test_crops_of_all_sensors_show_the_same_ground():
    crops, starts = Crops(MSC, 120, 0), set()
    for draw in range(2000):
        parts = crops.parts(MSC_SHAPES, np.random.default_rng(draw))
        places = {key: [(p.start * MSC[key], p.stop * MSC[key]) for p in parts[key]] for key in parts}
        assert places["spot"] == places["sentinel2"] == places["landsat"]
        (top, bottom), (left, right) = places["spot"]
        assert 0 <= top < bottom <= 360
        assert 0 <= left < right <= 600
        starts.add((top, left))
    assert len(starts) == 9 * 17  # every place that there is


def test_without_a_draw_it_is_the_middle():
    rows, cols = Crops(MSC, 120, 0).parts(MSC_SHAPES, None)["landsat"]
    assert (rows, cols) == (slice(4, 8), slice(8, 12))


def test_whole_chips_are_whole():
    parts = Crops(MSC, None, 0).parts(MSC_SHAPES, np.random.default_rng(0))
    assert parts == {key: (slice(0, h), slice(0, w)) for key, (h, w) in MSC_SHAPES.items()}


def test_footprints_that_differ_a_little_are_laid_centre_on_centre():
    crops = Crops({"aerial": 0.2, "sentinel2": 10}, None, 0.1)
    parts = crops.parts({"aerial": (304, 304), "sentinel2": (6, 6)}, None)
    assert parts == {"aerial": (slice(2, 302),) * 2, "sentinel2": (slice(0, 6),) * 2}


def test_rounded_footprints_stay_within_half_a_coarse_pixel():
    crops = Crops({"spot": 1.5, "sentinel2": 10.0}, 480, 1)
    shapes = {"spot": (1054, 1060), "sentinel2": (159, 158)}
    for draw in range(50):
        parts = crops.parts(shapes, np.random.default_rng(draw))
        for axis in (0, 1):
            extent = min(shapes["spot"][axis] * 1.5, shapes["sentinel2"][axis] * 10)
            fine = ground_of(parts["spot"][axis], 1.5, extent, shapes["spot"][axis])
            coarse = ground_of(parts["sentinel2"][axis], 10, extent, shapes["sentinel2"][axis])
            np.testing.assert_allclose(fine, coarse, atol=5)


@pytest.mark.parametrize(
    ("window", "shapes", "words"),
    [
        (
            None,
            {"spot": (240, 400), "sentinel2": (35, 60)},
            r"same ground: spot 240 x 400 .* 35 x 60",
        ),
        (450, {"spot": (240, 400)}, r"less ground than a crop of 450 m"),
        (None, {"spot": (10, 10)}, r"less ground than a crop of 30 m"),
    ],
)
def test_images_that_do_not_fit(window, shapes, words):
    with pytest.raises(ValueError, match=words):
        Crops(MSC, window, 0).parts(shapes, None)


@pytest.mark.parametrize("window", [100, 0, -30])
def test_windows_are_whole_pixels(window):
    with pytest.raises(ValueError, match=r"whole number of pixels .*multiple of 30 m"):
        Crops(MSC, window, 0)
