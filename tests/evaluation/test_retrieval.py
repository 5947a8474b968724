"""Retrieval: what counts as correct, and in which direction."""

import pytest
import torch

from xstars_lightning.evaluation import recall_at_1


def random_tokens(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("count", [10, 2500])
def test_counts_those_at_their_own_index(count):
    gallery = random_tokens(count, 32)
    queries = gallery.clone()
    moved = count // 5
    queries[:moved] = queries[:moved].roll(1, dims=0)
    assert recall_at_1(3 * queries, gallery).item() == pytest.approx(1 - moved / count)


def test_direction_is_from_queries_to_gallery():
    queries = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    gallery = torch.tensor([[1.0, 0.1], [1.0, 0.2]])
    assert recall_at_1(queries, gallery).item() == 1.0
    assert recall_at_1(gallery, queries).item() == 0.5


def test_collapse_is_chance():
    assert recall_at_1(torch.ones(8, 4), torch.ones(8, 4)).item() == 1 / 8


def test_autocast_does_not_blur():
    features = 1 + 1e-2 * random_tokens(100, 16)
    with torch.autocast("cpu", torch.bfloat16):
        assert recall_at_1(features, features).item() == 1.0


def test_errors():
    with pytest.raises(ValueError, match=r"\(3, 2\) and \(2, 2\)"):
        recall_at_1(torch.ones(3, 2), torch.ones(2, 2))
    with pytest.raises(ValueError, match="nothing"):
        recall_at_1(torch.ones(0, 3), torch.ones(0, 3))
