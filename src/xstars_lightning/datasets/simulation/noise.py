"""Random fields with a given range of wavelengths, the raw material of every natural shape."""

import numpy as np
from scipy.fft import irfft2, next_fast_len

from xstars_lightning.datasets.simulation.grids import FloatArray, interpolator, resample

__all__ = ["band_noise"]

_TILE = 1024  # samples; finer patterns repeat beyond, which no eye finds


def _spectral(
    height: int, width: int, low: float, high: float, slope: float, rng: np.random.Generator
) -> FloatArray:
    """Periodic noise whose amplitude falls as frequency ** -slope between two frequencies (per sample)."""
    rows = np.fft.fftfreq(height).astype(np.float32)[:, None]
    columns = np.fft.rfftfreq(width).astype(np.float32)[None, :]
    frequency = np.hypot(rows, columns)
    inside = (frequency >= low) & (frequency <= high)
    amplitude = np.where(inside, np.maximum(frequency, 1e-6) ** -slope, 0).astype(np.float32)
    phases = rng.standard_normal((2, *amplitude.shape), dtype=np.float32)
    field = irfft2(amplitude * (phases[0] + 1j * phases[1]), s=(height, width))
    return (field / max(float(field.std()), 1e-12)).astype(np.float32)


def band_noise(
    shape: tuple[int, int],
    resolution: float,
    wavelengths: tuple[float, float],
    rng: np.random.Generator,
    slope: float = 1.0,
) -> FloatArray:
    """Gaussian noise of zero mean and unit variance that holds only some wavelengths.

    Computed on the coarsest grid that carries the shortest wavelength, then interpolated.

    Args:
        shape: Rows and columns.
        resolution: Metres per sample.
        wavelengths: Shortest and longest, in metres.
        rng: Source of chance.
        slope: Amplitude falls as frequency to the power -slope; 1 gives every octave the same power.

    Returns:
        Field (H, W), float32.
    """
    step = max(1, int(wavelengths[0] / (3 * resolution)))
    coarse = tuple(-(-size // step) + 1 for size in shape)
    spacing = resolution * step
    # Longer than the longest wavelength, or no wave of the band would fit into a small scene.
    span = int(2 * wavelengths[1] / spacing)
    height, width = (next_fast_len(min(max(size, span), max(_TILE, span)), real=True) for size in coarse)
    tile = _spectral(height, width, spacing / wavelengths[1], spacing / wavelengths[0], slope, rng)
    repeats = (-(-coarse[0] // height), -(-coarse[1] // width))
    field = np.tile(tile, repeats)[: coarse[0], : coarse[1]]
    if step == 1:
        return np.ascontiguousarray(field[: shape[0], : shape[1]])
    return resample(field, *(interpolator(c, f, step) for c, f in zip(coarse, shape, strict=True)))
