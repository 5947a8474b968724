"""Options and batches that would cost hours."""

import pytest
import torch
from torch.utils.data import DataLoader

from xstars_lightning.tasks.checks import check_batch, sizes_by_sensor


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"warmup": 1.5}, r"warmup must lie in \[0, 1\], got 1.5"),
        ({"momentum": (0.9, 1.1)}, "momentum must lie"),
        ({"alpha": -1.0}, "alpha must be at least 0"),
        ({"prototypes": 1}, "prototypes must be at least 2"),
        ({"layer_decay": 0.0}, "layer_decay must lie"),
        ({"image_size": {"aerial": 32}}, "image_size has sizes for aerial, but the sensors are aerial, s2"),
        ({"align_locals": True, "local_crops": 0}, "align_locals needs local_crops"),
        ({"align_locals": True, "align_target": "teacher"}, "the teacher sees no local crop"),
        ({"cross_sensor_dino": True, "sensors": {"s2": "sentinel2_l2a"}}, "needs two or more sensors"),
        ({"windows": 0}, "windows must be positive"),
        ({"global_scale": (0.8, 0.4)}, "global_scale must rise"),
        ({"teacher_temperature": (0.0, 0.04)}, "teacher_temperature must be positive"),
        ({"freeze_trunk": 0.1}, "freeze a random trunk; give weights"),
    ],
)
def test_options_out_of_their_domain_are_refused(options, words, make_task):
    with pytest.raises(ValueError, match=words):
        make_task(**options)


@pytest.mark.parametrize(
    "option", [{"image_negatives": False}, {"temperature": 0.2}, {"align_class_token": False}]
)
def test_options_of_an_alignment_that_is_off_are_refused(option, make_task):
    with pytest.raises(ValueError, match=f"alpha is 0.*{next(iter(option))}.*leave it out, or raise alpha"):
        make_task(alpha=0.0, **option)
    make_task(alpha=0.0)


def batch(aerial, s2):
    values = {}
    for name, seen in (("aerial", aerial), ("s2", s2)):
        values[f"image_{name}"] = torch.zeros(len(seen), 3, 8, 8)
        values[f"valid_{name}"] = torch.tensor(seen)[:, None, None, None].expand(-1, 1, 8, 8)
    return values


BOTH = ["aerial", "s2"]


def test_a_batch_without_common_ground_is_refused():
    apart = batch([True, False], [False, True])
    with pytest.raises(ValueError, match="No window of the batch of 2 shows two of the sensors aerial, s2"):
        check_batch(apart, BOTH, BOTH, aligned=True)
    check_batch(apart, BOTH, BOTH, aligned=False)
    check_batch(batch([True, False], [True, True]), BOTH, BOTH, aligned=True)


def test_common_ground_of_sensors_that_are_not_learned_is_none():
    anchors = batch([True, True], [True, True])
    anchors |= {"image_new": anchors["image_s2"], "valid_new": torch.zeros_like(anchors["valid_s2"])}
    with pytest.raises(ValueError, match="of which one is learned"):
        check_batch(anchors, [*BOTH, "new"], ["new"], aligned=True)
    with pytest.raises(ValueError, match="shows any of new"):
        check_batch(anchors, [*BOTH, "new"], ["new"], aligned=False)


def test_a_batch_without_a_sensor_is_refused():
    with pytest.raises(ValueError, match=r"lacks image_landsat, valid_landsat; it has image_aerial"):
        check_batch(batch([True], [True]), ["aerial", "landsat"], ["aerial"], aligned=True)


def test_the_task_checks_its_batches(make_task, make_trainer, loader):
    with pytest.raises(ValueError, match="lacks image_landsat"):
        make_trainer().fit(make_task(sensors={"aerial": "aerial_rgb", "landsat": "landsat_rgb"}), loader)


def test_the_task_refuses_a_batch_without_common_ground(make_task, make_trainer, loader):
    apart = next(iter(loader))
    apart["valid_aerial"][:2] = False
    apart["valid_s2"][2:] = False
    with pytest.raises(ValueError, match="No window of the batch of 4 shows two of the sensors aerial, s2"):
        make_trainer().fit(make_task(), DataLoader([apart], batch_size=None))
    make_trainer().fit(make_task(alpha=0.0), DataLoader([apart], batch_size=None))


@pytest.mark.parametrize(
    ("resumed", "words"),
    [
        (
            {"sensors": {"aerial": "aerial_rgb"}},
            r"another sensors \(aerial, s2\) than this run has \(aerial\)",
        ),
        ({"sensors": {"s2": "sentinel2_l2a", "aerial": "aerial_rgb"}}, "another sensors"),  # in another order
        ({"backbone": "vit_small_patch16_224"}, "another backbone"),
        ({"alpha": 0.0}, "a run with aligned sensors True, this one has False"),
    ],
)
def test_a_run_cannot_be_resumed_as_another_one(resumed, words, make_task, make_trainer, loader, tmp_path):
    trainer = make_trainer()
    trainer.fit(make_task(), loader)
    trainer.save_checkpoint(tmp_path / "run.ckpt")
    with pytest.raises(ValueError, match=words):
        make_trainer().fit(make_task(**resumed), loader, ckpt_path=tmp_path / "run.ckpt")


def test_sizes_are_for_all_or_for_each():
    assert sizes_by_sensor("image_size", 96, ["a", "b"]) == {"a": 96, "b": 96}
    assert sizes_by_sensor("image_size", {"b": 32, "a": 64}, ["a", "b"]) == {"a": 64, "b": 32}
