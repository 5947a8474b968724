"""The linear probe learns what is linear, whatever the scale, and lets validation choose."""

import pytest
import torch

from xstars_lightning.evaluation.linear_probe import DEFAULT_STRENGTH, linear_probe


def clouds(count, seed, spread=0.3, noise_dims=0):
    """Three Gaussian clouds in the plane, and dimensions that say nothing."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 3
    centres = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0]])
    points = centres[labels] + spread * torch.randn(count, 2, generator=generator)
    return torch.cat([points, torch.randn(count, noise_dims, generator=generator)], dim=1), labels


def accuracy(result, labels):
    return (result.predictions == labels).float().mean().item()


def test_separates_clouds():
    test, truth = clouds(300, seed=1)
    assert accuracy(linear_probe(*clouds(90, seed=0), test), truth) > 0.98


def test_scale_and_offset_of_a_dimension_do_not_count():
    (train, labels), (test, _) = clouds(90, seed=0, spread=0.8), clouds(300, seed=1, spread=0.8)
    scale, offset = torch.tensor([1e4, 1e-3]), torch.tensor([5.0, -2.0])
    plain = linear_probe(train, labels, test).predictions
    scaled = linear_probe(train * scale + offset, labels, test * scale + offset).predictions
    assert (plain == scaled).float().mean() > 0.99


def test_labels_keep_their_numbers():
    train, labels = clouds(90, seed=0)
    result = linear_probe(train, labels * 3 + 1, train)
    assert set(result.predictions.tolist()) == {1, 4, 7}


@pytest.mark.parametrize("noise_dims", [0, 60])
def test_validation_takes_the_best_penalty(noise_dims):
    train, labels = clouds(60, 0, 0.7, noise_dims)
    held_out = clouds(300, 1, 0.7, noise_dims)
    strengths = (1e-4, 1e-2, 1.0, 100.0)
    chosen = linear_probe(train, labels, held_out[0], validation=held_out, strengths=strengths)
    alone = {
        strength: accuracy(
            linear_probe(train, labels, held_out[0], validation=held_out, strengths=[strength]), held_out[1]
        )
        for strength in strengths
    }
    assert alone[chosen.strength] == max(alone.values())
    assert min(alone.values()) < max(alone.values())
    assert accuracy(chosen, held_out[1]) == alone[chosen.strength]


def test_without_validation_the_default():
    train, labels = clouds(30, seed=0)
    assert linear_probe(train, labels, train).strength == DEFAULT_STRENGTH


def test_one_class_is_an_error():
    with pytest.raises(ValueError, match=r"class \[2\].*two classes"):
        linear_probe(torch.randn(5, 3), torch.full((5,), 2), torch.randn(2, 3))
