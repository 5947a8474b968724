"""Learning a new sensor from weights that know another."""

import lightning.pytorch as pl
import pytest
import timm
import torch
from torch.utils.data import DataLoader

from xstars_lightning.callbacks import AnchorRetention, CrossSensorRetrieval
from xstars_lightning.models import CrossSensorEncoder, load_encoder, save_encoder
from xstars_lightning.sensors import resolve_sensors
from xstars_lightning.tasks import ContinualXStars

from .conftest import OPTIONS, windows

S2 = {"s2": "sentinel2_l2a"}


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(5)
    path = tmp_path / "known.safetensors"
    save_encoder(CrossSensorEncoder(resolve_sensors(S2)), path)
    return str(path)


@pytest.fixture
def make(weights):
    def build(**options):
        torch.manual_seed(0)
        defaults = OPTIONS | {"anchors": ["s2"], "weights": weights, "drop_path_rate": 0.2}
        return ContinualXStars(**(defaults | options))

    return build


def test_all_three_start_from_the_weights(make, weights):
    task, known = make(), load_encoder(weights)
    for encoder in (task.model, task.teacher, task.frozen):
        assert torch.equal(encoder.trunk.blocks[3].mlp.fc1.weight, known.trunk.blocks[3].mlp.fc1.weight)
        key = "-".join(known.sensors["s2"].bands)
        assert torch.equal(encoder.patch_embed[key].proj.weight, known.patch_embed[key].proj.weight)
    image = torch.rand(2, 12, 32, 32)
    torch.testing.assert_close(task.frozen(image, "s2"), known.eval()(image, "s2"))


def test_the_frozen_copy_never_moves_and_has_no_stochastic_depth(make, make_trainer, loader):
    class Look(pl.Callback):
        def on_train_batch_end(self, trainer, task, *_):
            assert task.model.training
            assert not any(module.training for module in task.frozen.modules())

    task = make()
    before = {name: value.clone() for name, value in task.frozen.state_dict().items()}
    make_trainer(callbacks=[Look()], max_epochs=2).fit(task, loader, loader)
    assert all(torch.equal(before[name], value) for name, value in task.frozen.state_dict().items())
    assert not any(p.requires_grad for p in task.frozen.parameters())


def test_gradient_reaches_the_new_stem_trunk_and_heads_but_no_stem_of_anchors_alone(
    make, make_trainer, loader
):
    without, frozen = set(), []

    class Look(pl.Callback):
        def on_after_backward(self, trainer, task):
            trained = [(name, p) for name, p in task.named_parameters() if p.requires_grad]
            without.update(name for name, p in trained if p.grad is None or not p.grad.any())
            frozen.extend(p.grad for module in (task.frozen, task.teacher) for p in module.parameters())

    task = make(freeze_trunk=0.0)
    make_trainer(callbacks=[Look()], limit_train_batches=1).fit(task, loader)
    assert without == set()
    assert set(frozen) == {None}
    anchor = task.model.patch_embed["-".join(task.sensors["s2"].bands)]
    assert not any(p.requires_grad for p in anchor.parameters())


def test_a_new_sensor_with_the_bands_of_the_anchor_shares_its_stem(make, make_trainer):
    sensors = {"s2": "sentinel2_l2a", "new": "sentinel2_l2a"}
    task = make(sensors=sensors)
    batch = windows(4)
    for sample in batch:
        sample |= {"image_new": sample["image_s2"], "valid_new": sample["valid_s2"]}
    make_trainer().fit(task, DataLoader(batch, batch_size=4))
    assert len(task.model.patch_embed) == 1
    assert all(p.requires_grad for p in task.model.patch_embed.parameters())


def test_several_new_sensors_are_aligned_with_the_anchor_and_each_other(make, make_trainer, loader):
    task = make(sensors=OPTIONS["sensors"] | {"gray": "aerial_rgb"})
    samples = [s | {"image_gray": s["image_aerial"], "valid_gray": s["valid_aerial"]} for s in windows(4)]
    trainer = make_trainer()
    trainer.fit(task, DataLoader(samples, batch_size=4))
    pairs = {name for name in trainer.callback_metrics if name.startswith("train_align_")}
    assert pairs == {"train_align_aerial_gray", "train_align_aerial_s2", "train_align_gray_s2"}
    assert {name for name in trainer.callback_metrics if name.startswith("train_dino_")} == {
        *("train_dino_ratio", "train_dino_aerial", "train_dino_gray")
    }


def test_the_trunk_is_frozen_at_first_and_deep_layers_learn_slower(make, make_trainer, loader):
    rates = []

    class Rates(pl.Callback):
        def on_before_optimizer_step(self, trainer, task, optimizer):
            named = {id(p): g["lr"] for g in optimizer.param_groups for p in g["params"]}
            trunk = task.model.trunk
            parts = (
                trunk.pos_embed,
                trunk.blocks[0].mlp.fc1.weight,
                trunk.norm.weight,
                task.head.layers[0].weight,
            )
            rates.append([named[id(p)] for p in parts])

    before = make()
    task = make(freeze_trunk=0.5, layer_decay=0.5, warmup=0.0)
    make_trainer(callbacks=[Rates()]).fit(task, loader)  # 2 steps
    assert rates[0][:3] == [0, 0, 0]
    assert rates[0][3] > 0
    position, first, norm, head = rates[1]
    assert position == pytest.approx(head * 0.5**12)
    assert first == pytest.approx(head * 0.5**11)
    assert norm == pytest.approx(head)
    assert not torch.equal(before.model.trunk.norm.weight, task.model.trunk.norm.weight)


def test_retention_begins_at_one_and_forgetting_is_told(make, make_trainer):
    data = DataLoader(windows(16), batch_size=4)
    task = make(lr=1e-2, freeze_trunk=0.0, momentum=(0.0, 0.0), warmup=0.0, layer_decay=1.0)
    trainer = make_trainer(callbacks=[AnchorRetention(k=5), CrossSensorRetrieval()])
    (before,) = trainer.validate(task, data, verbose=False)
    assert before["val_retention_s2"] == 1
    assert before["val_forgetting"] == 0
    assert "val_patch_aerial_s2" in before
    trainer = make_trainer(callbacks=[AnchorRetention(k=5)], max_epochs=2)
    trainer.fit(task, data, data)
    assert 0 < trainer.callback_metrics["val_forgetting"] < 1


def test_retention_needs_a_task_that_remembers(make_task, make_trainer, loader):
    with pytest.raises(ValueError, match="XStars keeps no model to compare with"):
        make_trainer(callbacks=[AnchorRetention()]).validate(make_task(), loader, verbose=False)


def test_its_checkpoint_gives_the_teacher_back(make, make_trainer, loader, tmp_path):
    task = make()
    trainer = make_trainer()
    trainer.fit(task, loader)
    trainer.save_checkpoint(tmp_path / "run.ckpt")
    encoder = load_encoder(tmp_path / "run.ckpt").eval()
    image = torch.rand(1, 3, 32, 32)
    assert torch.equal(encoder(image, "aerial"), task.teacher.eval()(image, "aerial"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"anchors": ["landsat"]}, r"Anchors \['landsat'\] are not among the sensors \['aerial', 's2'\]"),
        ({"anchors": []}, "at least one must be an anchor"),
        ({"anchors": ["aerial", "s2"]}, "at least one new"),
        ({"weights": None}, "starts from existing weights"),
        ({"alpha": 0.0}, "use XStars with weights"),
        ({"sensors": None}, "needs its sensors"),
    ],
)
def test_what_cannot_work_is_refused(options, words, make):
    with pytest.raises(ValueError, match=words):
        make(**options)


def test_an_anchor_whose_bands_the_weights_do_not_know_is_refused(make):
    with pytest.raises(ValueError, match="does not know the bands of the anchor 'aerial'"):
        make(anchors=["aerial"], band_rule="new")
    with pytest.warns(UserWarning, match="'aerial': the weights have other bands"):
        make(anchors=["aerial"])


def test_weights_that_do_not_tell_the_statistics_of_the_anchor_are_pointed_out(tmp_path, make):
    state = timm.create_model("vit_tiny_patch16_224", num_classes=0).state_dict()
    torch.save(state, tmp_path / "foreign.pth")
    with pytest.warns(UserWarning, match="does not tell its statistics; those declared are used"):
        make(sensors={"s2": "sentinel2_rgb", "aerial": "aerial_rgb"}, weights=str(tmp_path / "foreign.pth"))


def test_other_anchors_cannot_be_resumed(make, make_trainer, loader, tmp_path):
    trainer = make_trainer()
    trainer.fit(make(), loader)
    trainer.save_checkpoint(tmp_path / "run.ckpt")
    with pytest.raises(ValueError, match=r"anchors \['s2'\], this one has \['aerial'\]"):
        make_trainer().fit(make(anchors=["aerial"]), loader, ckpt_path=tmp_path / "run.ckpt")


def test_an_anchor_that_is_scaled_in_another_way_is_refused(make):
    other = resolve_sensors(S2)["s2"].to_dict() | {"value_range": [0, 255]}
    with pytest.raises(ValueError, match=r"Anchor 's2' is declared with value_range \(0, 255\)"):
        make(sensors=OPTIONS["sensors"] | {"s2": other})


def test_statistics_of_the_anchor_are_those_of_the_weights(tmp_path, make):
    """The frozen copy must see the anchor as it was trained."""
    own = resolve_sensors(S2)["s2"].to_dict() | {"mean": [0.3] * 12, "std": [0.3] * 12}
    path = tmp_path / "own.safetensors"
    save_encoder(CrossSensorEncoder(resolve_sensors({"s2": own})), path)
    with pytest.warns(UserWarning, match="'s2': the statistics of the weights"):
        task = make(weights=str(path))
    for encoder in (task.model, task.teacher, task.frozen):
        assert encoder.standardize["s2"].mean.flatten().tolist() == pytest.approx([0.3] * 12)
    assert task.sensors["s2"].mean == pytest.approx((0.3,) * 12)
