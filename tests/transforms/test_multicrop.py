"""Views: shared geometry, separate photometry, validity by patch."""

import pytest
import torch

from xstars_lightning.losses import pool_tokens
from xstars_lightning.sensors import resolve_sensors
from xstars_lightning.transforms import MultiCrop

SENSORS = resolve_sensors({"aerial": "aerial_rgb", "s2": "sentinel2_l2a"})


def batch(windows=3):
    torch.manual_seed(0)
    return {
        "image_aerial": torch.rand(windows, 3, 64, 64),
        "valid_aerial": torch.ones(windows, 1, 64, 64, dtype=torch.bool),
        "image_s2": torch.rand(windows, 12, 32, 32),
        "valid_s2": torch.ones(windows, 1, 32, 32, dtype=torch.bool),
    }


def sizes(aerial, s2=None):
    return {"aerial": aerial, "s2": s2 or aerial}


def without_photometry(multicrop):
    multicrop.photometric = torch.nn.ModuleDict({name: torch.nn.Identity() for name in multicrop.photometric})
    return multicrop


@pytest.mark.parametrize("local_crops", [0, 3])
def test_shapes(local_crops):
    views = MultiCrop(SENSORS, sizes(48), sizes(16), local_crops)(batch())
    assert views["aerial"].globals.shape == (6, 3, 48, 48)
    assert views["s2"].locals.shape == (3 * local_crops, 12, 16, 16)
    assert views["s2"].globals_valid.shape == (6, 9)
    assert views["s2"].locals_valid.shape == (3 * local_crops, 1)
    assert views["s2"].present.tolist() == [True] * 3


def test_photometry_is_not_shared_between_sensors():
    windows = batch(8)
    windows |= {f"image_{name}": torch.ones_like(windows[f"image_{name}"]) for name in SENSORS}
    views = MultiCrop(SENSORS, sizes(48), sizes(16), 2)(windows)
    first, second = (view.globals.mean(dim=(1, 2, 3)) for view in views.values())
    assert not torch.allclose(first, second)


def test_geometry_is_shared_between_sensors_and_not_between_views():
    windows = batch()
    windows["image_s2"] = windows["image_aerial"][:, :1].expand(-1, 12, -1, -1)
    windows["valid_s2"] = windows["valid_aerial"]
    views = without_photometry(MultiCrop(SENSORS, sizes(48), sizes(16), 2))(windows)
    for kind in ("globals", "locals"):
        a, b = getattr(views["aerial"], kind)[:, :1], getattr(views["s2"], kind)[:, :1]
        torch.testing.assert_close(a, b)
    first, second = views["aerial"].globals.chunk(2)
    assert not torch.allclose(first, second)


def test_invalid_ground_makes_invalid_patches():
    windows = batch(1)
    windows["valid_aerial"][..., :32] = False
    views = MultiCrop(SENSORS, sizes(64), sizes(16), 0, global_scale=(1.0, 1.0))(windows)
    # one half in any orientation; the crop's ratio is 1 at full scale or cut
    for view in views["aerial"].globals_valid:
        assert view.mean() == pytest.approx(0.5, abs=0.26)
    assert views["s2"].globals_valid.eq(1).all()


def test_sizes_must_fit_the_patches():
    with pytest.raises(ValueError, match=r"local_size 20.*16"):
        MultiCrop(SENSORS, sizes(48), sizes(20))


def test_a_sensor_that_missed_more_than_a_tenth_is_absent():
    windows = batch(3)
    windows["valid_s2"][0] = False
    windows["valid_s2"][1, ..., :5] = False  # a sixth
    views = MultiCrop(SENSORS, sizes(32), sizes(16), 1)(windows)
    assert views["s2"].present.tolist() == [False, False, True]
    assert views["aerial"].present.all()


def test_what_stands_where_nothing_was_seen_is_not_looked_at():
    windows = batch(2)
    windows["valid_s2"][..., :8] = False
    windows["image_s2"][..., :8] = float("nan")
    views = MultiCrop(SENSORS, sizes(32), sizes(16), 1)(windows)
    assert views["s2"].globals.isfinite().all()
    assert views["s2"].locals.isfinite().all()


def ground(side):
    """Pixels that encode where they lie: x and y of their centres, in [0, 1]."""
    centres = (torch.arange(side) + 0.5) / side
    return torch.stack(torch.meshgrid(centres, centres, indexing="xy"))


def test_token_grids_of_different_sizes_show_the_same_ground_under_all_turns():
    """Places of the finer grid, pooled, lie where those of the coarser one do."""
    torch.manual_seed(0)
    sensors = dict.fromkeys(("fine", "coarse"), SENSORS["aerial"])
    windows = {
        "image_fine": torch.cat([ground(192), torch.zeros(1, 192, 192)]).expand(64, -1, -1, -1),
        "image_coarse": torch.cat([ground(64), torch.zeros(1, 64, 64)]).expand(64, -1, -1, -1),
        "valid_fine": torch.ones(64, 1, 192, 192),
        "valid_coarse": torch.ones(64, 1, 64, 64),
    }
    crop = MultiCrop(sensors, {"fine": 112, "coarse": 48}, {"fine": 48, "coarse": 32}, 2)
    views = without_photometry(crop)(windows)
    for kind in ("globals", "locals"):
        at = {name: torch.nn.functional.avg_pool2d(getattr(v, kind)[:, :2], 16) for name, v in views.items()}
        tokens = {name: x.flatten(2).transpose(1, 2) for name, x in at.items()}
        side = at["coarse"].shape[-1]
        pooled, share = pool_tokens(tokens["fine"], getattr(views["fine"], f"{kind}_valid"), side)
        # within a quarter of a coarse patch, which the resampling of the coarse image takes
        assert (pooled - tokens["coarse"]).abs().max() < 0.25 / side
        torch.testing.assert_close(share, torch.ones_like(share))
