"""MSAD with negatives from the same window: it must tell where in the window a patch is."""

import math

import pytest
import torch
import torch.nn.functional as F

from xstars_lightning.losses import MSADLoss


def loop(a, b, valid, views, temperature, smoothing):
    """Place by place and window by window, with the keys of every query in a list."""
    a, b, total, count = F.normalize(a, dim=-1), F.normalize(b, dim=-1), 0.0, 0
    length = a.shape[1] // views
    for i, n in valid.nonzero().tolist():
        view = range(n // length * length, (n // length + 1) * length)
        keys = [(i, n)]
        keys += [(j, n) for j in range(len(a)) if j != i and valid[j, n]]
        keys += [(i, m) for m in view if m != n and valid[i, m]]
        for query, key in ((a, b), (b, a)):
            logits = torch.stack([query[i, n] @ key[place] for place in keys]) / temperature
            target = torch.full_like(logits, smoothing / len(keys))
            target[0] += 1 - smoothing
            total -= (target * logits.log_softmax(0)).sum() / 2
        count += 1
    return total / count


@pytest.mark.parametrize(("windows", "places", "views"), [(1, 4, 1), (5, 1, 1), (4, 6, 2), (3, 6, 3)])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_equals_the_loop_over_queries(windows, places, views, smoothing):
    torch.manual_seed(places)
    a, b = torch.randn(2, windows, places, 8)
    valid = torch.rand(windows, places) < 0.7
    valid[0, 0] = True
    loss = MSADLoss(0.2, smoothing, image_negatives=True)(a, b, valid, views)
    torch.testing.assert_close(loss, loop(a, b, valid, views, 0.2, smoothing))


def test_gradient_is_that_of_the_loop():
    torch.manual_seed(0)
    a, b = torch.randn(2, 3, 4, 8, requires_grad=True)
    valid = torch.rand(3, 4) < 0.7
    actual = torch.autograd.grad(MSADLoss(0.2, image_negatives=True)(a, b, valid, 2), (a, b))
    expected = torch.autograd.grad(loop(a, b, valid, 2, 0.2, 0.0), (a, b))
    torch.testing.assert_close(actual, expected)


def test_places_that_look_alike_are_punished_only_with_image_negatives():
    torch.manual_seed(0)
    a = torch.randn(8, 1, 64).expand(-1, 9, -1)
    assert MSADLoss()(a, a) < 0.01
    assert MSADLoss(image_negatives=True)(a, a) == pytest.approx(math.log(9), abs=0.01)


def test_views_are_kept_apart():
    torch.manual_seed(0)
    a, b = torch.randn(2, 4, 6, 8)
    loss_function = MSADLoss(image_negatives=True)
    apart = (loss_function(a[:, :3], b[:, :3]) + loss_function(a[:, 3:], b[:, 3:])) / 2
    torch.testing.assert_close(loss_function(a, b, views=2), apart)
    assert loss_function(a, b, views=1) > apart + 0.1


def test_views_mean_nothing_without_image_negatives():
    torch.manual_seed(0)
    a, b = torch.randn(2, 4, 6, 8)
    assert torch.equal(MSADLoss()(a, b, views=2), MSADLoss()(a, b))


def test_invalid_places_are_no_negatives():
    torch.manual_seed(0)
    a, b = (torch.randn(4, 6, 8, requires_grad=True) for _ in range(2))
    valid = torch.ones(4, 6, dtype=torch.bool)
    valid[1, 2] = valid[3, 0] = False
    loss_function = MSADLoss(label_smoothing=0.1, image_negatives=True)
    loss = loss_function(a, b, valid, 2)
    for gradient in torch.autograd.grad(loss, (a, b)):
        assert not gradient[~valid].any()
        assert gradient[valid].abs().sum(-1).gt(0).all()
    with torch.no_grad():
        a[1, 2], b[3, 0] = float("nan"), 1e6
    torch.testing.assert_close(loss_function(a, b, valid, 2), loss)


def test_nothing_valid_gives_a_differentiable_zero():
    a, b = torch.randn(2, 3, 4, 8).requires_grad_()
    loss = MSADLoss(image_negatives=True)(a, b, torch.zeros(3, 4, dtype=torch.bool), 2)
    loss.backward()
    assert loss == 0


def test_is_computed_in_float32_under_autocast():
    torch.manual_seed(0)
    a, b = torch.randn(2, 8, 4, 32)
    loss_function = MSADLoss(temperature=0.05, image_negatives=True)
    expected = loss_function(a, b)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(loss_function(a, b), expected)


def test_soft_targets_are_refused_beside_image_negatives():
    with pytest.raises(ValueError, match="soft_targets"):
        MSADLoss(soft_targets=True, image_negatives=True)


@pytest.mark.parametrize("views", [0, 4])
def test_views_that_do_not_divide_the_places_are_named(views):
    with pytest.raises(ValueError, match=f"6 places do not make {views} views"):
        MSADLoss()(torch.zeros(2, 6, 4), torch.zeros(2, 6, 4), views=views)
