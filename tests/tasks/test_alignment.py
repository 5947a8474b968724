"""Which tokens meet which."""

import pytest
import torch

from xstars_lightning.losses import MSADLoss
from xstars_lightning.tasks.alignment import Alignment
from xstars_lightning.tasks.token_views import TokenViews

VIEWS, WINDOWS, DIM = 2, 4, 8


def token_views(side, patches=None, valid=None, present=None):
    torch.manual_seed(side)
    patches = torch.randn(VIEWS * WINDOWS, side**2, DIM) if patches is None else patches
    tokens = torch.cat([torch.randn(VIEWS * WINDOWS, 1, DIM), patches], dim=1)
    valid = torch.ones(VIEWS * WINDOWS, side**2) if valid is None else valid
    present = torch.ones(WINDOWS, dtype=torch.bool) if present is None else present
    return TokenViews(tokens, valid, present)


def repeated(patches, side, times):
    """Patches of a coarse grid, each cut into times x times finer ones."""
    grid = patches.unflatten(1, (side, side))
    return grid.repeat_interleave(times, 1).repeat_interleave(times, 2).flatten(1, 2)


@pytest.fixture
def align():
    return Alignment(torch.nn.Identity(), MSADLoss(), class_token=False)


def test_equal_places_of_equal_views_are_positives(align):
    x = token_views(3)
    shuffled = TokenViews(x.tokens.roll(1, 0), x.valid, x.present)
    assert align({"a": x, "b": x}, {})["a", "b"] < 0.5 < align({"a": x, "b": shuffled}, {})["a", "b"]


def test_grids_of_different_sizes_meet_on_the_coarser(align):
    coarse = token_views(2)
    fine = token_views(6, repeated(coarse.tokens[:, 1:], 2, 3))
    same = align({"a": coarse, "b": coarse}, {})["a", "b"]
    torch.testing.assert_close(align({"fine": fine, "coarse": coarse}, {})["fine", "coarse"], same)


def test_three_grids_meet_pair_by_pair(align):
    losses = align({name: token_views(side) for name, side in (("a", 6), ("b", 4), ("c", 2))}, {})
    assert set(losses) == {("a", "b"), ("a", "c"), ("b", "c")}


def test_fixed_tokens_are_targets_of_other_sensors_only(align):
    sets = {name: token_views(2) for name in ("a", "b")}
    assert set(align(sets, sets, mutual=False)) == {("a", "b"), ("b", "a")}
    assert set(align({"a": sets["a"]}, {"anchor": sets["b"]})) == {("a", "anchor")}


def test_places_that_one_sensor_did_not_see_are_left_out(align):
    x = token_views(2)
    hidden = torch.ones_like(x.valid)
    hidden[:, 0] = 0.4
    garbage = x.tokens.clone()
    garbage[:, 1] = float("nan")
    y = TokenViews(garbage, hidden, x.present)
    seen = TokenViews(x.tokens, hidden, x.present)
    torch.testing.assert_close(
        align({"a": x, "b": y}, {})["a", "b"], align({"a": x, "b": seen}, {})["a", "b"]
    )


def test_the_class_token_is_one_more_place_where_the_sensor_is_present():
    align = Alignment(torch.nn.Identity(), MSADLoss(), class_token=True)
    here = token_views(2, present=torch.tensor([True, True, True, False]))
    embedded, valid = align._places(here, 2)
    assert embedded.shape == (WINDOWS, VIEWS * 5, DIM)
    assert valid[:, 0].tolist() == valid[:, 5].tolist() == [True, True, True, False]
    assert valid[:, 1:5].all()


def test_a_sensor_that_saw_nothing_gives_a_differentiable_zero(align):
    x = token_views(2)
    x.tokens.requires_grad_()
    loss = align({"a": x, "b": token_views(2, valid=torch.zeros(VIEWS * WINDOWS, 4))}, {})["a", "b"]
    loss.backward()
    assert loss == 0
    assert x.tokens.grad.eq(0).all()
