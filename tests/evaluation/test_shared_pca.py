"""One palette for all sensors."""

import pytest
import torch

from xstars_lightning.evaluation import shared_pca


def tokens(windows, places, width=8, seed=0):
    return torch.randn(windows, places, width, generator=torch.Generator().manual_seed(seed))


def test_shapes_and_range():
    colours = shared_pca({"a": tokens(2, 9), "b": tokens(3, 4)})
    assert {name: values.shape for name, values in colours.items()} == {"a": (2, 9, 3), "b": (3, 4, 3)}
    for values in colours.values():
        assert values.min() >= 0
        assert values.max() <= 1


def test_first_component_is_the_widest_direction():
    values = tokens(1, 500) * torch.tensor([1.0, 1, 9, 1, 1, 4, 1, 1])
    colours = shared_pca({"a": values}, components=2)["a"]
    for component, dimension in enumerate((2, 5)):
        pair = torch.stack([colours[0, :, component], values[0, :, dimension]])
        assert torch.corrcoef(pair)[0, 1] > 0.98  # and not -0.98: the sign is fixed


def test_same_tokens_have_the_same_colour_in_every_sensor():
    a = tokens(2, 6)
    colours = shared_pca({"a": a, "b": a.flip(1), "c": tokens(2, 20, seed=1)})
    torch.testing.assert_close(colours["a"], colours["b"].flip(1))


def test_an_offset_between_sensors_is_seen():
    a = tokens(2, 30)
    offset = torch.zeros(8)
    offset[4] = 20
    colours = shared_pca({"a": a, "b": a + offset})
    assert (colours["b"][..., 0] - colours["a"][..., 0]).abs().min() > 0.5


def test_sensors_weigh_the_same_however_many_tokens_they_have():
    small, large = tokens(1, 50), tokens(1, 5000, seed=1)
    small, large = small * torch.tensor([10.0] + [0.1] * 7), large * torch.tensor([0.1, 5.0] + [0.1] * 6)
    colours = shared_pca({"small": small, "large": large}, components=1)["small"]
    assert colours.std() > 0.2  # the widest direction is that of the small one


def test_constant_tokens_are_one_colour():
    colours = shared_pca({"a": torch.ones(1, 5, 4)})["a"]
    assert bool(colours.isfinite().all())
    assert colours.std() == 0


def test_errors():
    with pytest.raises(ValueError, match="'a': 8, 'b': 4"):
        shared_pca({"a": tokens(1, 2), "b": tokens(1, 2, width=4)})
    with pytest.raises(ValueError, match="exceeds the width 2"):
        shared_pca({"a": tokens(1, 4, width=2)})
    with pytest.raises(ValueError, match="one or more"):
        shared_pca({})
