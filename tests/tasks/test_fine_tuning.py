"""Fine-tuning: the weights are in the network, statistics are applied once, layers learn at rising rates."""

import pytest
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from torch.nn import functional

from xstars_lightning.datamodules.eurosat import EuroSATRGBDataModule
from xstars_lightning.models import CrossSensorEncoder, load_encoder, save_encoder
from xstars_lightning.sensors import get_sensor
from xstars_lightning.tasks.classification import FineTuneClassification
from xstars_lightning.tasks.segmentation import FineTuneSegmentation

SENSORS = {"s2": "sentinel2_rgb"}
CLASSES = ["field", "lake", "wood"]

pytestmark = pytest.mark.filterwarnings(
    "ignore:No weights given",
    "ignore:.*num_workers",
    "ignore:.*TreeSpec:FutureWarning",
    "ignore:.*log_every_n",
)


@pytest.fixture
def source():
    torch.manual_seed(5)
    return CrossSensorEncoder({"s2": get_sensor("sentinel2_rgb")}, "vit_tiny_patch16_224").eval()


@pytest.fixture
def weights(source, tmp_path):
    save_encoder(source, tmp_path / "encoder.safetensors")
    return str(tmp_path / "encoder.safetensors")


def segmentation(classes=CLASSES, weights=None, **options):
    return FineTuneSegmentation(SENSORS, classes, weights, decoder_width=16, **options)


def classification(weights=None, **options):
    return FineTuneClassification(SENSORS, CLASSES, weights, image_size=64, **options)


def images(count=2, side=64):
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(0))


def seen(module, act):
    """What a module is given and gives while ``act`` runs."""
    calls = []
    handle = module.register_forward_hook(lambda _, given, result: calls.append((given[0], result)))
    with torch.no_grad():
        act()
    handle.remove()
    return calls


@pytest.mark.parametrize("make", [segmentation, classification])
def test_the_network_computes_what_the_encoder_of_the_weights_computes(make, source, weights):
    task = make(weights=weights).eval()
    image = images()
    ((given, tokens),) = seen(task.encoder.trunk.blocks[-1], lambda: task(image))
    ((expected_given, expected),) = seen(source.trunk.blocks[-1], lambda: source(image, "s2"))
    torch.testing.assert_close(given, expected_given)
    torch.testing.assert_close(tokens, expected)


@pytest.mark.parametrize("make", [segmentation, classification])
def test_statistics_are_applied_once(make, weights):
    task = make(weights=weights).eval()
    image, sensor = images(), get_sensor("sentinel2_rgb")
    ((given, _),) = seen(task.encoder.patch_embed["red-green-blue"], lambda: task(image))
    mean, std = (torch.tensor(values)[:, None, None] for values in (sensor.mean, sensor.std))
    torch.testing.assert_close(given, (image - mean) / std)


def test_the_decoder_reads_the_blocks_in_between(source, weights):
    task = segmentation(weights=weights).eval()
    ((_, (maps, prefixes)),) = seen(task.model.network.encoder, lambda: task(images()))
    outputs = []
    handles = [
        source.trunk.blocks[n].register_forward_hook(lambda *call: outputs.append(call[2]))
        for n in (2, 5, 8, 11)
    ]
    with torch.no_grad():
        source(images(), "s2")
    assert len(maps) == len(outputs) == len(handles)
    for found, prefix, expected in zip(maps, prefixes, outputs, strict=True):
        torch.testing.assert_close(found, expected[:, 1:].transpose(1, 2).unflatten(2, (4, 4)))
        torch.testing.assert_close(prefix, expected[:, :1])


@pytest.mark.parametrize("side", [64, 50, 80, 20])
def test_logits_have_the_size_of_the_images(side):
    task = segmentation().eval()
    with torch.no_grad():
        assert task(images(side=side)).shape == (2, 3, side, side)


def test_patches_that_the_decoder_cannot_take():
    with pytest.raises(ValueError, match="DPT needs patches of 8, 16, 32 pixels; vit_small_patch14_dinov2"):
        FineTuneSegmentation(SENSORS, CLASSES, backbone="vit_small_patch14_dinov2")


def test_a_sensor_that_the_weights_know_keeps_their_statistics(weights):
    other = get_sensor("aerial_rgb")
    same = FineTuneClassification({"s2": other}, CLASSES, weights).encoder.sensors["s2"]
    new = FineTuneClassification({"aerial": other}, CLASSES, weights).encoder.sensors["aerial"]
    assert (same.mean, new.mean) == (get_sensor("sentinel2_rgb").mean, other.mean)


def test_statistics_of_a_checkpoint_are_told_as_they_are_applied(weights):
    sensors, checkpoint = {"s2": get_sensor("aerial_rgb")}, {}
    FineTuneClassification(sensors, CLASSES, weights).on_save_checkpoint(checkpoint)
    task = FineTuneClassification(sensors, CLASSES)
    task.on_load_checkpoint(checkpoint)
    assert task.encoder.sensors["s2"].mean == get_sensor("sentinel2_rgb").mean


def test_other_bands_take_filters_over(source, weights):
    task = FineTuneClassification({"naip": "naip_rgbn"}, CLASSES, weights)
    stem, theirs = (
        e.patch_embed[key].proj.weight
        for e, key in ((task.encoder, "red-green-blue-nir"), (source, "red-green-blue"))
    )
    torch.testing.assert_close(stem[:, :3], theirs * 3 / 4)


def squares(count=12):
    """Bright squares on dark ground: class 1 where bright, 255 in a corner."""
    samples = []
    for number in range(count):
        image, mask = 0.2 * torch.ones(3, 32, 32), torch.zeros(32, 32, dtype=torch.long)
        x = 4 * (number % 5)
        image[:, 4:20, x : x + 12], mask[4:20, x : x + 12] = 0.8, 1
        mask[:2, :2] = 255
        samples.append({"image": image, "mask": mask, "index": torch.tensor(number)})
    return samples


def fit(task, make_trainer, **options):
    loader = torch.utils.data.DataLoader(squares(), batch_size=4)
    trainer = make_trainer(**options)
    trainer.fit(task, loader, loader)
    return trainer


def test_frozen_means_frozen_and_decoder_learns(weights, make_trainer):
    task = segmentation(["dark", "bright"], weights, freeze_backbone=True)
    before = {name: tensor.clone() for name, tensor in task.state_dict().items()}
    fit(task, make_trainer, max_steps=1, limit_val_batches=0)
    moved = {name for name, tensor in task.state_dict().items() if not torch.equal(tensor, before[name])}
    assert any("decoder" in name for name in moved)
    assert not any("trunk" in name or "patch_embed" in name for name in moved)


def test_lower_layers_learn_slower(weights, make_trainer):
    task = segmentation(["dark", "bright"], weights, layer_decay=0.5, lr=0.02, warmup=0.0)
    trainer = fit(task, make_trainer, max_steps=1, limit_val_batches=0)
    names = {id(parameter): name for name, parameter in task.named_parameters()}
    rates = {}
    for group in trainer.optimizers[0].param_groups:
        rates |= {names[id(parameter)]: group["initial_lr"] for parameter in group["params"]}
    assert len(rates) == len(names)
    prefix = "model.network.encoder.encoder."
    for block in (0, 5, 11):
        assert rates[f"{prefix}trunk.blocks.{block}.mlp.fc1.weight"] == pytest.approx(
            0.02 * 0.5 ** (11 - block)
        )
    assert rates[f"{prefix}patch_embed.red-green-blue.proj.weight"] == pytest.approx(0.02 * 0.5**12)
    assert rates["model.network.segmentation_head.head.0.weight"] == 0.02


def test_what_was_learned_is_predicted_and_the_encoder_can_be_taken_out(weights, make_trainer, tmp_path):
    torch.manual_seed(0)
    task = segmentation(["dark", "bright"], weights, lr=4e-3)
    trainer = fit(task, make_trainer, max_epochs=15, check_val_every_n_epoch=15)
    assert trainer.callback_metrics["val_AverageJaccardIndex"] > 0.8
    trainer.save_checkpoint(tmp_path / "tuned.ckpt")
    encoder = load_encoder(tmp_path / "tuned.ckpt")
    torch.testing.assert_close(encoder.trunk.norm.weight, task.encoder.trunk.norm.weight)
    again = FineTuneSegmentation.load_from_checkpoint(tmp_path / "tuned.ckpt").eval()
    with torch.no_grad():
        torch.testing.assert_close(again(images()), task.eval()(images()))


def test_classes_and_sensor_come_from_the_data(class_folders, make_trainer, tmp_path):
    torch.manual_seed(0)
    task = FineTuneClassification(image_size=32, lr=1e-3, layer_decay=0.9)
    trainer = make_trainer(max_epochs=3, logger=TensorBoardLogger(tmp_path))
    trainer.fit(task, EuroSATRGBDataModule(str(class_folders), batch_size=6))
    assert list(task.encoder.sensors) == ["eurosat_rgb"]
    assert task.class_names == ["Field", "Lake", "Wood"]
    assert trainer.callback_metrics["val_OverallAccuracy"] > 0.8


def test_training_images_are_flipped(monkeypatch):
    task = FineTuneClassification(SENSORS, CLASSES, image_size=64).train()
    monkeypatch.setattr(task, "log", lambda *_, **__: None)
    calls = []
    monkeypatch.setattr(task, "forward", lambda x: calls.append(x) or x.mean(dim=(2, 3)))
    image = images(64, 16)
    task.training_step({"image": image, "label": torch.zeros(64, dtype=torch.long)}, 0)
    forms = [image, image.flip(-1), image.flip(-2), image.flip(-1, -2)]
    kinds = torch.stack([(calls[0] == form).flatten(1).all(1) for form in forms])
    assert (kinds.sum(0) == 1).all()
    assert (kinds.sum(1) > 5).all()


def test_an_unknown_pooling():
    with pytest.raises(ValueError, match="cls or mean"):
        FineTuneClassification(SENSORS, CLASSES, pooling="max")


def test_no_sensor_anywhere(make_trainer):
    with pytest.raises(ValueError, match="does not tell the sensor"):
        fit(FineTuneSegmentation(), make_trainer)


def test_the_loss_leaves_255_out():
    task = segmentation(["dark", "bright"]).eval()
    logits, mask = torch.randn(1, 2, 4, 4), torch.zeros(1, 4, 4, dtype=torch.long)
    mask[0, 2:] = 255
    expected = functional.cross_entropy(logits[:, :, :2], mask[:, :2])
    torch.testing.assert_close(task.criterion(logits, mask), expected)
