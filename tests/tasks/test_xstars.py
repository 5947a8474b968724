"""The behaviour without which self-distillation or alignment silently does nothing."""

import copy

import lightning.pytorch as pl
import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks

from xstars_lightning.losses import MSADLoss
from xstars_lightning.models import load_encoder
from xstars_lightning.tasks.token_views import encode_views


class Spy(pl.Callback):
    """Keeps the weights before each step, and the momentum of the step."""

    def __init__(self):
        self.before, self.momenta = [], []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.before.append(copy.deepcopy(pl_module.state_dict()))
        self.momenta.append(pl_module.schedules.teacher_momentum(trainer.global_step))


def test_teacher_starts_as_the_student_and_is_not_it(make_task):
    task = make_task()
    for student, teacher in ((task.model, task.teacher), (task.head, task.teacher_head)):
        for a, b in zip(student.parameters(), teacher.parameters(), strict=True):
            assert torch.equal(a, b)
            assert a.data_ptr() != b.data_ptr()
            assert not b.requires_grad


def test_teacher_moves_by_exactly_one_minus_m(make_task, make_trainer, loader):
    task, spy = make_task(momentum=(0.9, 0.9)), Spy()
    make_trainer(callbacks=[spy]).fit(task, loader)
    before, after, m = *spy.before, spy.momenta[0]
    pairs = (("model", "teacher"), ("head", "teacher_head"))
    moved = 0
    for student, teacher in pairs:
        for name in (name for name in before if name.startswith(f"{teacher}.")):
            new_student = after[name.replace(teacher, student, 1)]
            torch.testing.assert_close(after[name], m * before[name] + (1 - m) * new_student)
            moved += int(not torch.equal(after[name], before[name]))
    assert moved > 100


def test_gradient_reaches_everything_that_trains_and_nothing_else(make_task, make_trainer, loader):
    without, teacher = set(), []

    class Look(pl.Callback):
        def on_after_backward(self, trainer, task):
            trained = [(name, p) for name, p in task.named_parameters() if p.requires_grad]
            without.update(name for name, p in trained if p.grad is None or not p.grad.any())
            teacher.extend(p.grad for m in (task.teacher, task.teacher_head) for p in m.parameters())

    make_trainer(callbacks=[Look()], limit_train_batches=1).fit(make_task(), loader)
    assert without == set()
    assert teacher == [None] * len(teacher) != []


def test_alignment_reaches_every_patch_every_stem_and_the_head(make_task, loader):
    """What the authors' release lacks: there the loss has no gradient at all."""
    task = make_task()
    views = task.views(next(iter(loader)))
    student = encode_views(task.model, views, "globals", task.learned)
    for x in student.values():
        x.tokens.retain_grad()
    losses = task.alignment(student, {})
    assert set(losses) == {("aerial", "s2")}
    losses["aerial", "s2"].backward()
    for x in student.values():
        assert x.tokens.grad.abs().sum(-1).gt(0).all()
    for module in (task.model.patch_embed, task.alignment.head, task.model.trunk.blocks):
        assert all(p.grad is not None and p.grad.any() for p in module.parameters())


def test_loss_is_dino_plus_alpha_times_alignment(make_task, make_trainer, loader):
    for alpha in (0.0, 2.0):
        trainer = make_trainer(limit_train_batches=1)
        trainer.fit(make_task(alpha=alpha), loader)
        metrics = trainer.callback_metrics
        expected = metrics["train_dino"] + alpha * metrics["train_align"]
        torch.testing.assert_close(metrics["train_loss"], expected)
        assert (metrics["train_align"] > 0) == (alpha > 0)


def test_biases_and_norms_do_not_decay_and_the_last_layer_is_frozen_at_first(make_task, make_trainer, loader):
    task = make_task(freeze_last_layer=0.5, weight_decay=(0.1, 0.1))
    spy = Spy()
    make_trainer(callbacks=[spy]).fit(task, loader)
    first, second = (state["head.last_layer.weight_v"] for state in spy.before)
    assert torch.equal(first, second)
    assert not torch.equal(second, task.head.last_layer.weight_v)
    decays = {id(p): g["weight_decay"] for g in task.trainer.optimizers[0].param_groups for p in g["params"]}
    trained = {name: p for name, p in task.named_parameters() if p.requires_grad}
    assert set(decays) == {id(p) for p in trained.values()}
    assert all(decays[id(p)] == 0 for name, p in trained.items() if p.ndim == 1 or name.endswith("bias"))
    assert decays[id(trained["model.trunk.blocks.0.attn.qkv.weight"])] == pytest.approx(0.1)


def test_same_seed_same_run(make_task, make_trainer, loader):
    states = []
    for _ in range(2):
        pl.seed_everything(3)
        task = make_task()
        make_trainer().fit(task, loader)
        states.append(task.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_checkpoint_gives_the_teacher_back(make_task, make_trainer, loader, tmp_path):
    task = make_task()
    trainer = make_trainer()
    trainer.fit(task, loader)
    trainer.save_checkpoint(tmp_path / "run.ckpt")
    encoder = load_encoder(tmp_path / "run.ckpt").eval()
    image = torch.rand(1, 12, 32, 32)
    assert torch.equal(encoder(image, "s2"), task.teacher.eval()(image, "s2"))


def test_validation_encodes_every_sensor_without_gradient(make_task, make_trainer, loader):
    outputs = {}

    class Keep(pl.Callback):
        def on_validation_batch_end(self, trainer, pl_module, out, batch, batch_idx, dataloader_idx=0):
            outputs.update(out)

    make_trainer(callbacks=[Keep()]).validate(make_task(), loader, verbose=False)
    assert {name: tuple(x.shape) for name, x in outputs.items()} == {"aerial": (4, 5, 192), "s2": (4, 5, 192)}
    assert not any(x.requires_grad for x in outputs.values())


def test_mixed_precision_trains(make_task, make_trainer, loader):
    trainer = make_trainer(precision="bf16-mixed")
    trainer.fit(make_task(), loader)
    assert trainer.callback_metrics["train_loss"].isfinite()
    assert trainer.callback_metrics["train_align"].dtype == torch.float32


def test_one_sensor_is_plain_dino(make_task, make_trainer, loader):
    trainer = make_trainer()
    trainer.fit(make_task(sensors={"aerial": "aerial_rgb"}), loader)
    assert trainer.callback_metrics["train_align"] == 0


def test_sensors_are_asked_for(make_task):
    with pytest.raises(ValueError, match=r"sensors=dm\.sensors"):
        make_task(sensors=None)
    with pytest.raises(ValueError, match="Did you mean 'sentinel2_l2a'"):
        make_task(sensors={"s2": "sentinel2_l2"})


def test_default_alignment_is_the_corrected_one(make_task):
    assert type(make_task().alignment.loss) is MSADLoss


def test_checkpointing_keeps_less_and_changes_no_gradient(make_task, loader):
    kept, gradients = [], []
    for again in (False, True):
        task, stored = make_task(gradient_checkpointing=again, drop_path_rate=0.0), []
        torch.manual_seed(0)
        views = task.views(next(iter(loader)))
        with saved_tensors_hooks(lambda x, seen=stored: seen.append(x.nbytes) or x, lambda x: x):
            tokens = encode_views(task.model, views, "globals", task.learned)
        kept.append(sum(stored))
        sum(x.tokens.square().sum() for x in tokens.values()).backward()
        gradients.append([p.grad for p in task.model.parameters()])
    assert kept[1] < kept[0] / 3
    for plain, checkpointed in zip(*gradients, strict=True):
        torch.testing.assert_close(plain, checkpointed)
