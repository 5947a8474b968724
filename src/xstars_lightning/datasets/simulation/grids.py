"""Separable linear maps between grids: interpolation to finer ones, optics to coarser ones."""

from math import log, pi, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.special import erf

__all__ = ["interpolator", "point_spread", "resample"]

FloatArray = NDArray[np.float32]


def resample(image: FloatArray, rows: csr_matrix, columns: csr_matrix) -> FloatArray:
    """Map an image (H, W) to (H', W') by one matrix per axis, (H', H) and (W', W)."""
    halfway = np.ascontiguousarray((rows @ image).T)
    return np.ascontiguousarray((columns @ halfway).T)


def interpolator(coarse: int, fine: int, step: int) -> csr_matrix:
    """Linear interpolation of ``coarse`` samples, ``step`` fine samples apart; matrix (fine, coarse)."""
    position = np.arange(fine) / step
    left = np.minimum(position.astype(np.int64), coarse - 2)
    weight = position - left
    index = np.stack([left, left + 1], axis=1)
    data = np.stack([1 - weight, weight], axis=1).astype(np.float32)
    return csr_matrix((data.ravel(), index.ravel(), np.arange(fine + 1) * 2), shape=(fine, coarse))


def point_spread(
    samples: int, spacing: float, pixels: int, resolution: float, nyquist: float = 0.2
) -> csr_matrix:
    """What the pixels of one image row collect from the ground: a Gaussian blur, averaged over the pixel.

    Args:
        samples: Number of ground samples.
        spacing: Metres between ground samples.
        pixels: Number of pixels; the first pixel begins where the first ground sample begins.
        resolution: Size of a pixel in metres.
        nyquist: Contrast (modulation transfer) that the blur and the averaging together leave of the
            finest pattern that the pixels can show, two pixels per cycle.

    Returns:
        Matrix (pixels, samples) whose rows sum to 1.
    """
    aperture = 2 / pi  # transfer of the averaging alone, sinc(1/2)
    sigma = resolution * sqrt(2 * log(aperture / nyquist)) / pi
    reach = int(np.ceil((resolution / 2 + 3 * sigma) / spacing))
    centre = (np.arange(pixels) + 0.5) * resolution
    index = (centre / spacing).astype(np.int64)[:, None] + np.arange(-reach, reach + 1)
    distance = (index + 0.5) * spacing - centre[:, None]
    low, high = ((distance + side * resolution / 2) / (sqrt(2) * sigma) for side in (-1, 1))
    weight = np.where((index >= 0) & (index < samples), erf(high) - erf(low), 0.0)
    weight = (weight / weight.sum(axis=1, keepdims=True)).astype(np.float32)
    pointer = np.arange(pixels + 1) * index.shape[1]
    return csr_matrix((weight.ravel(), index.clip(0, samples - 1).ravel(), pointer), shape=(pixels, samples))
