"""MSAD against its reference vectors and against the behaviour that makes it useful."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from xstars_lightning.losses import MSADLoss


class ReleasedHead(nn.Module):
    """The projection head of the authors' release, from the formula beside the vectors."""

    def __init__(self, dim, width):
        super().__init__()
        self.projection = nn.Linear(dim, width)
        self.fc = nn.Linear(width, width)
        self.layer_norm = nn.LayerNorm(width)

    def forward(self, x):
        projected = self.projection(x)
        return self.layer_norm(self.fc(F.gelu(projected)) + projected)


def test_published_formula_agrees_with_the_release():
    file = np.load(Path(__file__).parents[1] / "data" / "msad_published.npz")
    reference = {name: torch.from_numpy(file[name]) for name in file.files}
    *_, dim, width, temperature, smoothing = reference["meta"].tolist()
    heads = nn.ModuleDict(
        {
            "shared": ReleasedHead(int(dim), int(width)),
            "role_a": ReleasedHead(int(width), int(width)),
            "role_b": ReleasedHead(int(width), int(width)),
        }
    )
    heads.load_state_dict({name: reference[name] for name in heads.state_dict()})
    a, b = (reference[name].requires_grad_() for name in ("tokens_a", "tokens_b"))
    loss_function = MSADLoss.published(temperature, smoothing)
    loss = loss_function(heads["role_a"](heads["shared"](a)), heads["role_b"](heads["shared"](b)))
    loss.backward()

    torch.testing.assert_close(loss.detach(), reference["loss"].squeeze(), atol=1e-5, rtol=0)
    torch.testing.assert_close(a.grad, reference["grad_tokens_a"], atol=1e-6, rtol=0)
    torch.testing.assert_close(b.grad, reference["grad_tokens_b"], atol=1e-6, rtol=0)
    for name, parameter in heads.named_parameters():
        if f"grad.{name}" in reference:
            torch.testing.assert_close(parameter.grad, reference[f"grad.{name}"], atol=1e-6, rtol=0)


def loop(a, b, valid, temperature, smoothing):
    """The corrected loss, place by place and window by window."""
    a, b, total, count = F.normalize(a, dim=-1), F.normalize(b, dim=-1), 0.0, 0
    for n in range(a.shape[1]):
        keep = [i for i in range(len(a)) if valid[i, n]]
        for query, key in ((a, b), (b, a)):
            for row, i in enumerate(keep):
                logits = torch.stack([query[i, n] @ key[j, n] for j in keep]) / temperature
                target = torch.full_like(logits, smoothing / len(keep))
                target[row] += 1 - smoothing
                total -= (target * logits.log_softmax(0)).sum() / 2
        count += len(keep)
    return total / count


@pytest.mark.parametrize(("windows", "places", "width"), [(1, 3, 4), (5, 1, 8), (6, 7, 16)])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_equals_the_loop_over_places(windows, places, width, smoothing):
    torch.manual_seed(windows)
    a, b = torch.randn(2, windows, places, width, dtype=torch.float32)
    valid = torch.rand(windows, places) < 0.7
    valid[0] = True
    loss = MSADLoss(temperature=0.2, label_smoothing=smoothing)(a, b, valid)
    torch.testing.assert_close(loss, loop(a, b, valid, 0.2, smoothing))


def test_aligned_is_better_than_random_and_random_about_log_of_the_windows():
    torch.manual_seed(0)
    a, b = torch.randn(2, 16, 9, 256)
    loss_function = MSADLoss(temperature=1.0)
    assert loss_function(a, a) < loss_function(a, b)
    assert loss_function(a, b) == pytest.approx(math.log(16), abs=0.05)
    assert MSADLoss()(a, a) < 0.1


def test_published_formula_punishes_alignment():
    """Why the default is another one: for the release's formula, aligned is worse than random."""
    torch.manual_seed(0)
    a, b = F.layer_norm(torch.randn(2, 12, 4, 256), (256,))
    published = MSADLoss.published()
    constant = torch.ones_like(a)
    assert published(a, a) > published(a, b) > published(constant, constant)


def test_invalid_patches_contribute_nothing():
    torch.manual_seed(0)
    a, b = (torch.randn(4, 5, 8, requires_grad=True) for _ in range(2))
    valid = torch.ones(4, 5, dtype=torch.bool)
    valid[1, 2] = valid[3, 0] = False
    loss = MSADLoss()(a, b, valid)
    (gradient,) = torch.autograd.grad(loss, a)
    assert not gradient[~valid].any()
    assert gradient[valid].abs().sum(-1).gt(0).all()
    with torch.no_grad():
        a[1, 2], b[3, 0] = float("nan"), 1e6
    torch.testing.assert_close(MSADLoss()(a, b, valid), loss)


@pytest.mark.parametrize("loss_function", [MSADLoss(), MSADLoss(soft_targets=True), MSADLoss.published()])
def test_nothing_valid_gives_a_differentiable_zero(loss_function):
    a, b = torch.randn(2, 3, 4, 8).requires_grad_()
    loss = loss_function(a, b, torch.zeros(3, 4, dtype=torch.bool))
    loss.backward()
    assert loss == 0


def test_soft_targets_are_detached_unless_asked():
    torch.manual_seed(0)
    a, b = torch.randn(2, 6, 3, 8)
    gradients = []
    for detach in (True, False):
        x = a.clone().requires_grad_()
        MSADLoss(soft_targets=True, detach_targets=detach)(x, b).backward()
        gradients.append(x.grad)
    assert not torch.allclose(*gradients)


def test_soft_targets_forgive_the_confusion_of_equal_windows():
    torch.manual_seed(0)
    a = torch.randn(4, 3, 16)
    a[1] = a[0]
    hard, soft = (MSADLoss(soft_targets=soft)(a, a) for soft in (False, True))
    assert hard > 0.3
    # Two equal windows cost log 2 each, which no prediction can avoid.
    torch.testing.assert_close(soft, torch.tensor(math.log(2) / 2), atol=0.02, rtol=0)


def test_is_computed_in_float32_under_autocast():
    torch.manual_seed(0)
    a, b = torch.randn(2, 8, 4, 32)
    expected = MSADLoss(temperature=0.05)(a, b)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = MSADLoss(temperature=0.05)(a, b)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, expected)


@pytest.mark.parametrize(
    ("a", "b", "valid"),
    [((2, 3, 4), (2, 3, 5), None), ((2, 3), (2, 3), None), ((2, 3, 4), (2, 3, 4), (3, 2))],
)
def test_wrong_shapes_are_named(a, b, valid):
    mask = None if valid is None else torch.ones(valid, dtype=torch.bool)
    with pytest.raises(ValueError, match=r"\(B, N, P\)"):
        MSADLoss()(torch.zeros(a), torch.zeros(b), mask)


@pytest.mark.parametrize("option", [{"temperature": 0.0}, {"label_smoothing": 1.0}])
def test_options_out_of_their_domain_are_refused(option):
    with pytest.raises(ValueError, match=next(iter(option))):
        MSADLoss(**option)
