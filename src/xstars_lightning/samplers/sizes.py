"""Window sizes that hold a whole number of every sensor's pixels."""

import logging
import math
from collections.abc import Iterable
from fractions import Fraction

__all__ = ["commensurable_size", "common_multiple"]

logger = logging.getLogger(__name__)


def common_multiple(resolutions: Iterable[float]) -> float | None:
    """The least length that is a whole number of pixels of each resolution.

    Args:
        resolutions: Pixel sizes, all in one unit.

    Returns:
        For example 30 for 1.5, 10 and 30; None if a resolution is no multiple of 1/100 (to a
        hundred-thousandth), which leaves no common multiple of use.
    """
    fractions = []
    for resolution in resolutions:
        fraction = Fraction(resolution).limit_denominator(100)
        if not math.isclose(fraction, resolution, rel_tol=1e-5):
            return None
        fractions.append(fraction)
    scale = math.lcm(*(fraction.denominator for fraction in fractions))
    return math.lcm(*(int(fraction * scale) for fraction in fractions)) / scale


def commensurable_size(size: float, resolutions: Iterable[float]) -> float:
    """Round a window up to whole pixels of every sensor, where that is possible.

    Args:
        size: Requested side of the window.
        resolutions: Pixel sizes, in the unit of ``size``.

    Returns:
        The next multiple of :func:`common_multiple`; ``size`` itself if there is none or it is
        larger than the window.
    """
    resolutions = sorted(resolutions)
    step = common_multiple(resolutions)
    if step is None or step > size:
        return size
    rounded = math.ceil(size / step - 1e-9) * step
    if not math.isclose(rounded, size, rel_tol=1e-9):
        pixels = " and ".join(f"{resolution:g}" for resolution in resolutions)
        logger.info("Windows of %g m become %g m, whole pixels of %s m.", size, rounded, pixels)
    return rounded
