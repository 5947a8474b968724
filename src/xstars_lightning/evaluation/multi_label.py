"""Classification where an image may have several labels."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from xstars_lightning.evaluation.linear_probe import DEFAULT_STRENGTH, STRENGTHS, fit_logistic

__all__ = ["RankedResult", "average_precision", "one_vs_rest_probe"]

Array = npt.NDArray[np.float64]

#: None of a class that does not divide the training images.
type _Model = LogisticRegression | None


class RankedResult(NamedTuple):
    """Scores (N, C), higher where a class is more likely, and the inverse strength ``C`` of the penalty."""

    scores: Tensor
    strength: float


def average_precision(scores: Tensor, targets: Tensor) -> tuple[float, float, list[float | None]]:
    """Average precision over all images at once.

    Args:
        scores: Higher where a class is more likely (N, C).
        targets: Which classes an image has (N, C), 0 or 1.

    Returns:
        Mean over the classes that occur (macro), that of all pairs of image and class ranked together
        (micro), and per class; None of a class that does not occur.

    Raises:
        ValueError: If no class occurs.
    """
    truth, values = targets.cpu().numpy().astype(bool), scores.double().cpu().numpy()
    if not truth.any():
        raise ValueError("No test image has a label, so that there is nothing to rank.")
    per_class = [
        float(average_precision_score(hits, column)) if hits.any() else None
        for hits, column in zip(truth.T, values.T, strict=True)
    ]
    known = [value for value in per_class if value is not None]
    micro = float(average_precision_score(truth, values, average="micro"))
    return sum(known) / len(known), micro, per_class


def one_vs_rest_probe(
    train_features: Tensor,
    train_labels: Tensor,
    features: Tensor,
    *,
    validation: tuple[Tensor, Tensor] | None = None,
    strengths: Sequence[float] = STRENGTHS,
) -> RankedResult:
    """Rank classes by a logistic regression for each of them against the rest.

    As :func:`linear_probe`; validation data choose the penalty, the same for all classes, by the macro
    average precision. A class that all or none of the training images have is ranked equally for all.

    Args:
        train_features: Features (M, D).
        train_labels: Which classes an image has (M, C), 0 or 1.
        features: What to classify (N, D).
        validation: Features (V, D) and labels (V, C) that choose the penalty.
        strengths: Values of ``C`` to choose among; without validation ``DEFAULT_STRENGTH``.

    Raises:
        ValueError: If no class divides the training images.
    """
    targets = train_labels.cpu().numpy().astype(bool)
    if not (targets.any(axis=0) & ~targets.all(axis=0)).any():
        raise ValueError(
            f"Every class is that of all or of none of the {len(targets)} training images; a linear probe "
            "needs both. Take more labels."
        )
    scaler = StandardScaler().fit(train_features.cpu().numpy())
    inputs, wanted = (scaler.transform(x.cpu().numpy()) for x in (train_features, features))
    if validation is None:
        return RankedResult(_rank(_fit(inputs, targets, DEFAULT_STRENGTH), wanted), DEFAULT_STRENGTH)
    held_out = scaler.transform(validation[0].cpu().numpy())
    candidates = {strength: _fit(inputs, targets, strength) for strength in sorted(strengths)}
    precision = {
        strength: average_precision(_rank(models, held_out), validation[1])[0]
        for strength, models in candidates.items()
    }
    best = max(precision, key=precision.__getitem__)
    return RankedResult(_rank(candidates[best], wanted), best)


def _fit(inputs: Array, targets: npt.NDArray[np.bool_], strength: float) -> list[_Model]:
    divided = targets.any(axis=0) & ~targets.all(axis=0)
    models = iter(fit_logistic([(inputs, column, strength) for column in targets.T[divided]]))
    return [next(models) if known else None for known in divided]


def _rank(models: Sequence[_Model], inputs: Array) -> Tensor:
    columns = [np.zeros(len(inputs)) if m is None else m.decision_function(inputs) for m in models]
    return torch.from_numpy(np.stack(columns, axis=1))
