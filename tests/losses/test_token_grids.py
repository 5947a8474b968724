"""Pooling of token grids, against areas computed cell by cell."""

import pytest
import torch
import torch.nn.functional as F

from xstars_lightning.losses import overlap, pool_tokens


def grid(side, batch=2, width=3):
    generator = torch.Generator().manual_seed(side)
    return torch.randn(batch, side**2, width, generator=generator)


def share(i, j, source, target):
    """Length that cell i of the source and cell j of the target have in common, in target cells."""
    return max(0.0, min((i + 1) / source, (j + 1) / target) - max(i / source, j / target)) * target


def brute_force(tokens, valid, source, side):
    """Pool place by place and token by token, in float64."""
    pooled, area = torch.zeros(len(tokens), side**2, tokens.shape[2]), torch.zeros(len(tokens), side**2)
    for batch in range(len(tokens)):
        for place in range(side**2):
            total, weights = 0.0, 0.0
            for token in range(source**2):
                covered = share(token // source, place // side, source, side)
                covered *= share(token % source, place % side, source, side)
                weight = covered * valid[batch, token].item()
                total, weights = total + weight * tokens[batch, token].double(), weights + weight
            pooled[batch, place], area[batch, place] = total / weights, weights
    return pooled, area


@pytest.mark.parametrize(("source", "target"), [(1, 1), (14, 6), (6, 14), (3, 2), (16, 7), (5, 1), (8, 4)])
def test_cells_share_out_the_side_of_every_target(source, target):
    weights = overlap(source, target)
    expected = [[share(i, j, source, target) for i in range(source)] for j in range(target)]
    torch.testing.assert_close(weights, torch.tensor(expected))
    torch.testing.assert_close(weights.sum(1), torch.ones(target))


def test_weights_are_computed_once_per_geometry():
    assert overlap(14, 6) is overlap(14, 6)


def test_a_whole_ratio_is_average_pooling():
    tokens = grid(12)
    pooled, area = pool_tokens(tokens, torch.ones(2, 144), 4)
    expected = F.avg_pool2d(tokens.transpose(1, 2).unflatten(2, (12, 12)), 3).flatten(2).transpose(1, 2)
    torch.testing.assert_close(pooled, expected)
    torch.testing.assert_close(area, torch.ones(2, 16))


@pytest.mark.parametrize(("source", "side"), [(14, 6), (3, 5)])
def test_other_ratios_weight_by_the_valid_area_in_common(source, side):
    tokens = grid(source)
    valid = torch.rand(2, source**2, generator=torch.Generator().manual_seed(0))
    pooled, area = pool_tokens(tokens, valid, side)
    expected, expected_area = brute_force(tokens, valid, source, side)
    torch.testing.assert_close(pooled, expected)
    torch.testing.assert_close(area, expected_area)


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("flip", [False, True])
def test_flips_and_quarter_turns_commute_with_pooling(turns, flip):
    def turn(x, side):
        square = x.unflatten(1, (side, side)).rot90(turns, (1, 2))
        return (square.flip(1) if flip else square).flatten(1, 2)

    tokens, valid = grid(7), torch.rand(2, 49, generator=torch.Generator().manual_seed(0))
    pooled, area = pool_tokens(tokens, valid, 3)
    turned, turned_area = pool_tokens(turn(tokens, 7), turn(valid, 7), 3)
    torch.testing.assert_close(turned, turn(pooled, 3))
    torch.testing.assert_close(turned_area, turn(area, 3))


def test_the_size_that_a_grid_has_leaves_it_unchanged():
    tokens, valid = grid(5), torch.rand(2, 25)
    pooled, area = pool_tokens(tokens, valid, 5)
    assert pooled is tokens
    assert area is valid


def test_invalid_tokens_have_no_influence_and_no_gradient():
    tokens, valid = grid(7), torch.ones(2, 49)
    valid[0, :20] = 0
    expected, expected_area = pool_tokens(tokens, valid, 3)
    tokens[0, :20] = float("nan")
    tokens.requires_grad_()
    pooled, area = pool_tokens(tokens, valid, 3)
    torch.testing.assert_close(pooled, expected)
    torch.testing.assert_close(area, expected_area)
    (gradient,) = torch.autograd.grad(pooled.square().sum(), tokens)
    assert not gradient[valid == 0].any()
    assert gradient[valid > 0].abs().sum(-1).gt(0).all()


def test_a_place_with_nothing_valid_is_zero_with_finite_gradients():
    tokens, valid = grid(4).requires_grad_(), torch.zeros(2, 16).requires_grad_()
    pooled, area = pool_tokens(tokens, valid, 2)
    (pooled.sum() + area.sum()).backward()
    assert not pooled.any()
    assert not area.any()
    assert tokens.grad.isfinite().all()
    assert valid.grad.isfinite().all()


def test_a_border_counts_as_much_as_it_covers():
    valid = torch.ones(1, 3, 3)
    valid[:, :, 0] = 0
    _, area = pool_tokens(grid(3, batch=1), valid.flatten(1), 2)
    # A place is one and a half tokens wide, of which the left ones see half a token.
    torch.testing.assert_close(area, torch.tensor([[1 / 3, 1.0, 1 / 3, 1.0]]))


def test_is_computed_in_float32_under_autocast_and_returned_in_the_type_of_the_tokens():
    tokens, valid = grid(14), torch.rand(2, 196)
    expected, expected_area = pool_tokens(tokens, valid, 6)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        pooled, area = pool_tokens(tokens, valid, 6)
        short, _ = pool_tokens(tokens.bfloat16(), valid, 6)
    assert torch.equal(pooled, expected)
    assert torch.equal(area, expected_area)
    assert short.dtype == torch.bfloat16


def test_training_can_follow_inference():
    with torch.inference_mode():
        pool_tokens(grid(11), torch.ones(2, 121), 5)
    tokens = grid(11).requires_grad_()
    pool_tokens(tokens, torch.ones(2, 121), 5)[0].sum().backward()
    assert tokens.grad.gt(0).all()


@pytest.mark.parametrize(
    ("tokens", "valid", "side", "message"),
    [(15, 15, 2, "square grid, got 15"), (16, 15, 2, r"\(2, 15\)"), (16, 16, 0, "at least one cell")],
)
def test_what_is_no_grid_is_refused(tokens, valid, side, message):
    with pytest.raises(ValueError, match=message):
        pool_tokens(torch.zeros(2, tokens, 3), torch.ones(2, valid), side)
