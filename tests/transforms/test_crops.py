"""Crops name the same ground for every sensor."""

import pytest
import torch

from xstars_lightning.transforms import average_down, crop, random_crops

WHOLE = torch.tensor([[[1.0, 0, 0], [0, 1, 0]]])


def coordinates(pixels):
    """Window whose two channels are the x and y of each pixel centre in [-1, 1]."""
    axis = (torch.arange(pixels) + 0.5) / pixels * 2 - 1
    return torch.stack(torch.meshgrid(axis, axis, indexing="xy"))[None]


@pytest.mark.parametrize(("fine", "coarse"), [(128, 64), (427, 22), (66, 132)])
def test_same_ground_at_any_resolution(fine, coarse):
    """The heart of dense alignment: pixel p of a crop is the same place for both sensors."""
    torch.manual_seed(0)
    crops = random_crops(16, (0.2, 0.8))
    a, b = (crop(coordinates(n).expand(16, -1, -1, -1), crops, 32) for n in (fine, coarse))
    inside = (b.abs() < 1 - 2 / min(fine, coarse)).all(
        1, keepdim=True
    )  # bilinear clamps in the outermost half pixel
    torch.testing.assert_close(a[inside.expand_as(a)], b[inside.expand_as(b)], atol=1e-4, rtol=0)


def test_averaging_down_keeps_the_ground():
    image = coordinates(427)
    reduced = average_down(image, 48)
    assert max(reduced.shape[-2:]) < 2 * 48
    torch.testing.assert_close(reduced, coordinates(reduced.shape[-1]), atol=2 / 427, rtol=0)
    assert average_down(image, 300) is image


@pytest.mark.parametrize(("height", "rows"), [(96, 4), (98, 5)])
def test_averaging_down_is_the_mean_of_blocks(height, rows):
    image = torch.rand(2, 3, height, 64)
    averaged = average_down(image, height / 4)
    assert averaged.shape == (2, 3, round(height / 4), 16)
    torch.testing.assert_close(averaged[..., 0, 0], image[..., :rows, :4].mean(dim=(2, 3)))
    torch.testing.assert_close(averaged.mean(), image.mean(), atol=0.01, rtol=0)


def test_crops_are_those_of_affine_grids_under_autocast_too():
    torch.manual_seed(0)
    image, crops = torch.rand(4, 3, 40, 40), random_crops(12, (0.2, 0.8))
    grid = torch.nn.functional.affine_grid(crops, [12, 3, 16, 16], align_corners=False)
    expected = torch.nn.functional.grid_sample(
        image.repeat(3, 1, 1, 1), grid, padding_mode="border", align_corners=False
    )
    torch.testing.assert_close(crop(image, crops, 16), expected)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(crop(image, crops, 16), expected)


def test_averaging_down_prevents_aliasing():
    """A fine checkerboard has no structure at the resolution of the crop, so none may appear."""
    pixels = torch.arange(420)
    image = ((pixels[:, None] + pixels) % 2).float()[None, None]
    assert crop(image, WHOLE, 51).std() > 0.1
    assert crop(average_down(image, 51), WHOLE, 51).std() < 0.01


def test_crops_stay_inside_and_have_the_scale_asked_for():
    torch.manual_seed(0)
    crops = random_crops(2000, (0.3, 0.5), (1.0, 1.0))
    corners = torch.tensor([[-1.0, -1, 1], [1, 1, 1]]).T
    assert (crops @ corners).abs().max() <= 1 + 1e-5
    area = torch.linalg.det(crops[:, :, :2]).abs()
    assert area.min() >= 0.3 - 1e-5
    assert area.max() <= 0.5 + 1e-5
    assert area.mean() == pytest.approx(0.4, abs=0.01)


def test_all_eight_orientations_occur():
    torch.manual_seed(0)
    signs = {
        tuple(torch.sign(linear).flatten().int().tolist()) for linear in random_crops(400, (1, 1))[:, :, :2]
    }
    assert len(signs) == 8


def test_views_are_view_major():
    images = torch.arange(3.0)[:, None, None, None].expand(3, 1, 8, 8)
    views = crop(images, WHOLE.expand(6, -1, -1), 4)
    assert views[:, 0, 0, 0].tolist() == [0, 1, 2, 0, 1, 2]
