"""How sure a number is that was measured on so many test images."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from torch import Tensor

__all__ = ["interval", "resample_macro_precision", "resample_mean"]

Array = npt.NDArray[np.float64]
Positions = npt.NDArray[np.intp]

_CHUNK = 50  # resamples at once, which bounds the memory


def resample_mean(values: Tensor, resamples: int = 1000, seed: int = 0) -> Array:
    """Means of as many values drawn with replacement [0].

    Args:
        values: One per test image (N,), such as whether it was classified correctly.
        resamples: How often.
        seed: The same seed and number draw the same images, so that means may be averaged over runs.

    Returns:
        (resamples,).

    References:
        [0] Efron and Tibshirani, An Introduction to the Bootstrap, 1993
    """
    array = values.double().cpu().numpy()
    weights = _weights(len(array), resamples, seed)
    return np.concatenate([chunk @ array for chunk in weights]) / len(array)


def resample_macro_precision(scores: Tensor, targets: Tensor, resamples: int = 200, seed: int = 0) -> Array:
    """Mean over classes of the average precision, of as many images drawn with replacement.

    Where scores are tied, the precision is that at the last of them, whatever their order [0].

    Args:
        scores: Higher where a class is more likely (N, C).
        targets: Which classes an image has (N, C), 0 or 1.
        resamples: How often.
        seed: As for :func:`resample_mean`.

    Returns:
        (resamples,); classes without an image in a draw do not count in it.

    References:
        [0] https://scikit-learn.org/stable/modules/generated/sklearn.metrics.average_precision_score.html
    """
    values, truth = scores.double().cpu().numpy(), targets.double().cpu().numpy()
    order = (-values).argsort(axis=0, kind="stable")
    ends = np.stack([_ends(-column[ranks]) for column, ranks in zip(values.T, order.T, strict=True)])
    weights = _weights(len(values), resamples, seed)
    return np.concatenate([_macro_precision(chunk, order, ends, truth) for chunk in weights])


def _ends(ascending: Array) -> Positions:
    """Position of the last of its equals, for every value (N,)."""
    return np.searchsorted(ascending, ascending, side="right") - 1


def _macro_precision(weights: Array, order: Positions, ends: Positions, truth: Array) -> Array:
    per_class = []
    ranked = np.take_along_axis(truth, order, axis=0)
    for ranks, last, hits in zip(order.T, ends, ranked.T, strict=True):
        drawn = weights[:, ranks]
        found = drawn * hits
        total = found.sum(axis=1)
        precision = (found.cumsum(axis=1) / np.maximum(drawn.cumsum(axis=1), 1))[:, last]
        per_class.append(np.where(total > 0, (found * precision).sum(axis=1) / np.maximum(total, 1), np.nan))
    return np.nanmean(np.stack(per_class), axis=0)


def _weights(count: int, resamples: int, seed: int) -> Iterator[Array]:
    """How often each of the images is drawn, (chunk, count), one chunk after the other."""
    generator = np.random.default_rng(seed)
    for start in range(0, resamples, _CHUNK):
        draws = (generator.integers(count, size=count) for _ in range(min(_CHUNK, resamples - start)))
        yield np.stack([np.bincount(drawn, minlength=count) for drawn in draws]).astype(np.float64)


def interval(samples: Array | Sequence[float]) -> tuple[float, float]:
    """The 95 % between the 2.5th and the 97.5th percentile."""
    low, high = np.percentile(samples, (2.5, 97.5))
    return float(low), float(high)
