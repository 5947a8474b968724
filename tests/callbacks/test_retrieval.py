"""Retrieval counts places that are recognised, on ground that both sensors saw."""

from types import SimpleNamespace

import pytest
import torch

from xstars_lightning.callbacks import CrossSensorRetrieval


def validate(tokens, valid=None, **options):
    windows = len(next(iter(tokens.values())))
    masks = {f"valid_{name}": torch.ones(windows, 1, 8, 8, dtype=torch.bool) for name in tokens}
    masks |= valid or {}
    callback, logged = CrossSensorRetrieval(**options), {}
    module = SimpleNamespace(log_dict=lambda metrics, **_: logged.update(metrics))
    trainer = SimpleNamespace(sanity_checking=False)
    callback.on_validation_epoch_start(trainer, module)
    for part in (slice(0, 2), slice(2, None)):  # in two batches
        batch = {name: mask[part] for name, mask in masks.items()}
        callback.on_validation_batch_end(trainer, module, {k: v[part] for k, v in tokens.items()}, batch, 0)
    callback.on_validation_epoch_end(trainer, module)
    return logged


def test_aligned_sensors_are_found_and_random_ones_are_not():
    torch.manual_seed(0)
    a, c = torch.randn(2, 20, 5, 64)
    metrics = validate({"a": a, "b": a + 0.1 * torch.randn_like(a), "c": c})
    assert metrics["val_patch_a_b"] == metrics["val_window_b_a"] == 1
    assert metrics["val_patch_a_c"] < 0.1
    pairs = [metrics[f"val_patch_{x}_{y}"] for x in "abc" for y in "abc" if x != y]
    assert metrics["val_retrieval"] == pytest.approx(sum(pairs) / 6)


def test_class_token_takes_no_part():
    a = torch.randn(6, 5, 16)
    b = a.clone()
    b[:, 0] = torch.randn(6, 16) * 100
    assert validate({"a": a, "b": b})["val_patch_a_b"] == 1


def test_patches_that_one_sensor_did_not_see_do_not_count():
    a = torch.randn(4, 5, 16)
    b = a.clone()
    b[:, 1] = b[:, 2] = 0  # the upper half of the 2 x 2 patches is missing
    unseen = torch.ones(4, 1, 8, 8, dtype=torch.bool)
    unseen[:, :, :4] = False
    assert validate({"a": a, "b": b})["val_patch_a_b"] < 1
    assert validate({"a": a, "b": b}, {"valid_b": unseen})["val_patch_a_b"] == 1


def test_gallery_is_bounded():
    a = torch.randn(10, 5, 16)
    callback_sizes = []
    for limit in (1000, 8):
        metrics = validate({"a": a, "b": torch.randn(10, 5, 16)}, max_patches=limit)
        callback_sizes.append(metrics["val_patch_a_b"])
    assert (callback_sizes[1] * 8) % 1 == pytest.approx(0, abs=1e-6)


def test_token_grids_of_different_sizes_are_compared_on_the_coarser():
    torch.manual_seed(0)
    coarse = torch.randn(6, 5, 16)
    grid = coarse[:, 1:].unflatten(1, (2, 2)).repeat_interleave(3, 1).repeat_interleave(3, 2)
    fine = torch.cat([coarse[:, :1], grid.flatten(1, 2) + 0.1 * torch.randn(6, 36, 16)], dim=1)
    metrics = validate({"fine": fine, "coarse": coarse})
    assert metrics["val_patch_fine_coarse"] == metrics["val_window_coarse_fine"] == 1
    assert validate({"a": fine, "b": fine.roll(1, 0)}, side=1)["val_patch_a_b"] == 0


def test_a_pair_is_compared_where_both_saw_the_ground():
    a = torch.randn(4, 5, 16)
    absent = torch.ones(4, 1, 8, 8, dtype=torch.bool)
    absent[:2] = False
    b = torch.where(absent[:, :1, 0, :1], a, 0)
    metrics = validate({"a": a, "b": b, "c": a}, {"valid_b": absent})
    assert metrics["val_patch_a_b"] == metrics["val_window_b_c"] == metrics["val_patch_a_c"] == 1


def test_ground_that_no_two_sensors_saw_is_refused():
    nothing = torch.zeros(4, 1, 8, 8, dtype=torch.bool)
    tokens = {name: torch.randn(4, 5, 16) for name in "ab"}
    with pytest.raises(ValueError, match="No place of the validation windows is valid in two sensors"):
        validate(tokens, {"valid_b": nothing})
