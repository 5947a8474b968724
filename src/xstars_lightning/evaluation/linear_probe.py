"""Logistic regression as a classifier of frozen features."""

import os
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits
from torch import Tensor

__all__ = ["DEFAULT_STRENGTH", "STRENGTHS", "ProbeResult", "fit_logistic", "linear_probe"]

Array = npt.NDArray[np.generic]

#: Inverse strengths of the L2 penalty (``C`` of scikit-learn) among which validation chooses.
STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
#: The one that is taken without validation data.
DEFAULT_STRENGTH = 1.0
# Enough for all but the weakest penalties, whose accuracy has settled to a few tenths of a per
# cent by then (measured on 16,200 images of EuroSAT).
_MAX_ITERATIONS = 1000


class ProbeResult(NamedTuple):
    """Predicted classes (N,) and the inverse strength ``C`` of the penalty behind them."""

    predictions: Tensor
    strength: float


def linear_probe(
    train_features: Tensor,
    train_labels: Tensor,
    features: Tensor,
    *,
    validation: tuple[Tensor, Tensor] | None = None,
    strengths: Sequence[float] = STRENGTHS,
) -> ProbeResult:
    """Classify by multinomial logistic regression, fitted with L-BFGS on standardised features.

    Mean and deviation for the standardisation are those of the training features. With validation
    data the penalty is the one that classifies them best (the strongest among equals); they are
    not added to the training data afterwards.

    Args:
        train_features: Features (M, D).
        train_labels: Classes (M,), at least two different ones.
        features: What to classify (N, D).
        validation: Features (V, D) and classes (V,) that choose the penalty.
        strengths: Values of ``C`` to choose among. Without validation data it is
            ``DEFAULT_STRENGTH``.

    Raises:
        ValueError: If the training labels are all of one class.
    """
    if len(train_labels.unique()) < 2:
        raise ValueError(
            f"All {len(train_labels)} training labels are of class {train_labels[:1].tolist()}; "
            "a linear probe needs at least two classes."
        )
    scaler = StandardScaler().fit(_array(train_features))
    inputs, targets = scaler.transform(_array(train_features)), _array(train_labels)
    if validation is None:
        (best,) = fit_logistic([(inputs, targets, DEFAULT_STRENGTH)])
    else:
        held_out, truth = scaler.transform(_array(validation[0])), _array(validation[1])
        candidates = fit_logistic([(inputs, targets, strength) for strength in sorted(strengths)])
        best = max(candidates, key=lambda model: model.score(held_out, truth))
    predictions = torch.from_numpy(best.predict(scaler.transform(_array(features))))
    return ProbeResult(predictions, float(best.C))


def _array(tensor: Tensor) -> Array:
    array: Array = tensor.detach().cpu().numpy()
    return array


def fit_logistic(problems: Sequence[tuple[Array, Array, float]]) -> list[LogisticRegression]:
    """Fit on standardised inputs (M, D), targets (M,) and strengths, as many at once as there are cores."""
    # The threads of the linear algebra wait busily for each other at every one of these small
    # products: on a machine that does anything else they are many times slower than one alone.
    with warnings.catch_warnings(), threadpool_limits(1), ThreadPoolExecutor(os.cpu_count()) as threads:
        warnings.simplefilter("ignore", ConvergenceWarning)  # see _MAX_ITERATIONS
        return list(threads.map(_fit, *zip(*problems, strict=True)))


def _fit(inputs: Array, targets: Array, strength: float) -> LogisticRegression:
    return LogisticRegression(C=strength, max_iter=_MAX_ITERATIONS).fit(inputs, targets)
