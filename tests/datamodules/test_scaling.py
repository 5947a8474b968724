import numpy as np
import pytest
import torch

from xstars_lightning.datamodules.scaling import scale_batch, stack_raw, stack_scaled
from xstars_lightning.sensors import Sensor

SENSORS = {
    "a": Sensor("a", ("red",), 10, (1000, 11000), (0.5,), (0.3,), ("red",) * 3),
    "b": Sensor("b", ("red",), 10, (0, 255), (0.5,), (0.3,), ("red",) * 3),
}


def sample(kind, value=6000):
    valid = torch.tensor([[[True, False]]])
    return {"raw_a": torch.from_numpy(np.full((1, 1, 2), value, dtype=kind)), "valid_a": valid}


@pytest.mark.parametrize("kind", ["uint16", "int16", "uint32", "int32", "float32", "float64"])
def test_values_become_images(kind):
    raw = stack_raw([sample(kind), sample(kind)])
    assert raw["raw_a"].numpy().dtype == kind
    batch = scale_batch(raw, SENSORS)
    assert set(batch) == {"image_a", "valid_a"}
    assert batch["image_a"].dtype == torch.float32
    assert batch["image_a"].tolist() == [[[[0.5, 0]]]] * 2
    assert (raw["raw_a"].numpy() == 6000).all()  # the batch given is left alone


def test_nothing_is_clipped_and_nan_only_stays_where_it_is_valid():
    batch = scale_batch(sample("float32", 21000), SENSORS)
    assert batch["image_a"].tolist() == [[[2, 0]]]
    lost = sample("float32", np.nan)
    lost["valid_a"][:] = False
    assert scale_batch(lost, SENSORS)["image_a"].tolist() == [[[0, 0]]]


def test_types_that_differ_become_float32():
    batch = stack_raw([sample("uint16"), sample("uint8", 0)])
    assert batch["raw_a"].dtype == torch.float32
    assert batch["raw_a"][:, 0, 0, 0].tolist() == [6000, 0]


def test_images_and_other_entries_are_left_alone():
    batch = {"image_b": torch.ones(1), "bounds": torch.zeros(9)}
    assert scale_batch(batch, SENSORS) == batch
    assert set(stack_scaled([sample("uint16") | batch] * 2, SENSORS)) == {"image_a", "valid_a", *batch}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("kind", ["uint8", "uint16", "int16", "uint32", "int32", "float64"])
def test_values_are_scaled_on_the_device(kind):
    batch = {name: value.cuda() for name, value in stack_raw([sample(kind, 200)]).items()}
    image = scale_batch(batch, SENSORS)["image_a"]
    assert image.is_cuda
    assert torch.equal(image.cpu(), scale_batch(stack_raw([sample(kind, 200)]), SENSORS)["image_a"])
