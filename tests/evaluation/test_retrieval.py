"""Retrieval: what counts as correct, in which direction, and among what."""

import pytest
import torch

from xstars_lightning.evaluation import patch_recall_at_1, recall_at_1


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


def test_all_windows_are_harder_than_one():
    window = random_tokens(1, 6, 16)
    tokens = window.repeat(2, 1, 1)  # two windows that look the same
    assert patch_recall_at_1(tokens, tokens, gallery="window").item() == 1.0
    assert patch_recall_at_1(tokens, tokens).item() == 0.5


def test_both_galleries_against_a_loop():
    a, b = random_tokens(3, 5, 4), 2 * random_tokens(3, 5, 4, seed=1) + random_tokens(3, 5, 4)
    unit_a, unit_b = (x.double() / x.double().norm(dim=-1, keepdim=True) for x in (a, b))
    everywhere, within = 0, 0
    for window in range(3):
        for place in range(5):
            similarity = unit_b @ unit_a[window, place]
            everywhere += int(similarity.argmax()) == window * 5 + place
            within += int(similarity[window].argmax()) == place
    assert patch_recall_at_1(a, b).item() == pytest.approx(everywhere / 15)
    assert patch_recall_at_1(a, b, gallery="window").item() == pytest.approx(within / 15)
    assert 0 < everywhere < within


@pytest.mark.parametrize("gallery", ["all", "window"])
def test_invalid_patches_neither_ask_nor_answer(gallery):
    a = random_tokens(2, 4, 8)
    b = a.clone()
    b[:, 3] = a[:, 0]  # answers better than the right one, which is a little off
    b[:, 0] = a[:, 0] + 0.01 * a[:, 1]
    valid = torch.ones(2, 4, dtype=torch.bool)
    assert patch_recall_at_1(a, b, gallery=gallery).item() == 0.5  # places 0 and 3 are lost
    valid[:, 3] = False
    assert patch_recall_at_1(a, b, valid, gallery).item() == 1.0


@pytest.mark.parametrize("gallery", ["all", "window"])
def test_autocast_does_not_blur(gallery):
    tokens = 1 + 1e-2 * random_tokens(2, 50, 16)
    with torch.autocast("cpu", torch.bfloat16):
        assert patch_recall_at_1(tokens, tokens, gallery=gallery).item() == 1.0


def test_errors():
    with pytest.raises(ValueError, match=r"\(3, 2\) and \(2, 2\)"):
        recall_at_1(torch.ones(3, 2), torch.ones(2, 2))
    with pytest.raises(ValueError, match="No patch is valid"):
        patch_recall_at_1(torch.ones(1, 2, 3), torch.ones(1, 2, 3), torch.zeros(1, 2, dtype=torch.bool))
    with pytest.raises(ValueError, match="valid has shape"):
        patch_recall_at_1(torch.ones(1, 2, 3), torch.ones(1, 2, 3), torch.ones(1, 3, dtype=torch.bool))
    with pytest.raises(ValueError, match="nothing"):
        recall_at_1(torch.ones(0, 3), torch.ones(0, 3))
