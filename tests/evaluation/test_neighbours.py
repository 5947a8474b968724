"""Neighbours that two feature spaces have in common."""

import pytest
import torch

from xstars_lightning.evaluation import neighbour_overlap


def test_turned_and_scaled_spaces_have_the_same_neighbours():
    torch.manual_seed(0)
    a = torch.randn(50, 8)
    turn, _ = torch.linalg.qr(torch.randn(8, 8))
    assert neighbour_overlap(a, 3 * a @ turn, k=5) == 1


def test_unrelated_spaces_agree_by_chance():
    torch.manual_seed(0)
    overlap = neighbour_overlap(torch.randn(400, 16), torch.randn(400, 16), k=20)
    assert overlap == pytest.approx(20 / 399, abs=0.02)


def test_by_hand():
    """Points on a circle; in b the last two are swapped."""
    angles = torch.tensor([0.0, 0.1, 0.3, 0.6])
    a = torch.stack([angles.cos(), angles.sin()], dim=1)
    b = a[[0, 1, 3, 2]]
    assert neighbour_overlap(a, a, k=1) == 1
    assert neighbour_overlap(a, b, k=1) == pytest.approx(0.5)  # nearest in a: 1 0 1 2; in b: 1 0 3 1


@pytest.mark.parametrize(("count", "k"), [(3, 1), (4, 0), (4, 4)])
def test_what_cannot_be_compared_is_refused(count, k):
    with pytest.raises(ValueError, match="as many samples in both and 1 <= k < N"):
        neighbour_overlap(torch.randn(4, 2), torch.randn(count, 2), k)
