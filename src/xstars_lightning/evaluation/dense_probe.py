"""Logistic regression on tokens whose ground several classes may share."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from xstars_lightning.evaluation.linear_probe import DEFAULT_STRENGTH, STRENGTHS

__all__ = ["DenseProbe", "fit_dense_probe"]

_MAX_ITERATIONS = 500


@dataclass(frozen=True)
class DenseProbe:
    """A linear map from features to classes.

    Args:
        weight: Weights (C, D), float32.
        bias: Biases (C,).
        strength: Inverse strength ``C`` of the L2 penalty behind them.
    """

    weight: Tensor
    bias: Tensor
    strength: float

    def __call__(self, features: Tensor) -> Tensor:
        """Features (..., D) -> logits (..., C)."""
        return functional.linear(features, self.weight.to(features), self.bias.to(features))


@torch.inference_mode(False)  # Lightning's test loop has it on
def fit_dense_probe(
    features: Tensor,
    shares: Tensor,
    *,
    validation: tuple[Tensor, Tensor] | None = None,
    strengths: Sequence[float] = STRENGTHS,
) -> DenseProbe:
    """Fit a multinomial logistic regression by L-BFGS, on standardised features.

    The target of a token are the shares of the classes on its ground, so the loss is that of all its
    labelled pixels, at the cost of one token. With validation data the penalty is the one with the
    best mean intersection over union there (the strongest among equals).

    Args:
        features: Features (N, D).
        shares: Shares (N, C) in [0, 1], as :func:`~.segmentation.token_shares` has them.
        validation: Features (V, D) and shares (V, C) that choose the penalty.
        strengths: Values of ``C``, as scikit-learn defines it, to choose among. Without validation
            data it is ``DEFAULT_STRENGTH``.

    Raises:
        ValueError: If fewer than two classes have a share, or a feature is not finite.
    """
    if not bool(features.isfinite().all()):
        raise ValueError(
            "The encoder gives features that are not finite; its weights come from a run that diverged, "
            "or the images hold NaN."
        )
    if int((shares.sum(dim=0) > 0).sum()) < 2:
        raise ValueError(
            f"The labelled pixels of {len(features)} training tokens are all of class "
            f"{shares.sum(dim=0).nonzero()[:, 0].tolist()}; a probe needs at least two classes. Label more."
        )
    mean, std = features.mean(dim=0), features.std(dim=0, correction=0)
    std = torch.where(std > 0, std, 1)
    inputs, shares = (features - mean) / std, shares.clone()  # copies that take part in gradients
    if validation is None:
        strengths = (DEFAULT_STRENGTH,)
    candidates, start = [], torch.zeros(shares.shape[1], features.shape[1] + 1, device=features.device)
    for strength in sorted(strengths):
        start = _fit(inputs, shares, strength, start)  # from the solution of the stronger penalty
        weight = start[:, :-1] / std
        candidates.append(DenseProbe(weight, start[:, -1] - weight @ mean, strength))
    if validation is None:
        return candidates[0]
    tokens, truth = validation
    return max(candidates, key=lambda probe: _soft_iou(probe(tokens).argmax(dim=1), truth))


def _fit(inputs: Tensor, shares: Tensor, strength: float, start: Tensor) -> Tensor:
    """Weights and, in the last column, biases (C, D + 1); what cannot be told apart stays at ``start``."""
    parameters = start.clone().requires_grad_()
    labelled = shares.sum()
    optimizer = torch.optim.LBFGS(
        [parameters], max_iter=_MAX_ITERATIONS, tolerance_change=1e-7, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        logits = functional.linear(inputs, parameters[:, :-1], parameters[:, -1])
        misfit = -(shares * logits.log_softmax(dim=1)).sum()
        loss = (misfit + parameters[:, :-1].square().sum() / (2 * strength)) / labelled
        loss.backward()
        return loss

    with torch.enable_grad():
        optimizer.step(closure)
    return parameters.detach()


def _soft_iou(predictions: Tensor, shares: Tensor) -> float:
    """Mean intersection over union of tokens (N,) with the shares (N, C) of the classes on them."""
    chosen = functional.one_hot(predictions, shares.shape[1]).to(shares)
    counts = shares.T @ chosen
    hits = counts.diagonal()
    return float((hits / (counts.sum(dim=0) + counts.sum(dim=1) - hits)).nanmean())
