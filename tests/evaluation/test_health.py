"""Signs of collapse on features whose health is known."""

import pytest
import torch

from xstars_lightning.evaluation import effective_rank, feature_std

GAUSSIAN = torch.randn(4000, 32, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("rank", [1, 2, 5])
def test_rank_of_equal_orthogonal_directions(rank):
    features = torch.eye(8)[:rank].repeat(3, 1)
    assert effective_rank(features).item() == pytest.approx(rank, rel=1e-5)


def test_rank_weighs_directions_by_singular_values():
    # shares 3/4 and 1/4: exp(0.5623351446188083)
    assert effective_rank(torch.diag(torch.tensor([3.0, 1.0]))).item() == pytest.approx(1.7547654, rel=1e-5)


def test_rank_of_collapse_and_of_health():
    assert effective_rank(torch.ones(100, 16)).item() == pytest.approx(1, abs=1e-2)
    assert effective_rank(torch.zeros(10, 4)).item() == 1
    assert effective_rank(GAUSSIAN).item() > 31


def test_std_is_one_for_all_directions_and_zero_for_one():
    assert feature_std(GAUSSIAN).item() == pytest.approx(1, abs=0.02)
    assert feature_std(torch.ones(10, 7) * torch.arange(1, 11)[:, None]).item() == pytest.approx(0, abs=1e-6)
    assert feature_std(GAUSSIAN + 5).item() < 0.3


def test_std_does_not_depend_on_length_or_width():
    assert feature_std(100 * GAUSSIAN).item() == pytest.approx(feature_std(GAUSSIAN).item())
    assert feature_std(GAUSSIAN[:, :4]).item() == pytest.approx(1, abs=0.05)
