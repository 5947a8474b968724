"""Overlapping windows on one grid of patches."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Tiling", "window_starts"]


@dataclass(frozen=True)
class Tiling:
    """How scenes are cut into windows; all lengths in pixels of the scene.

    Args:
        window: Side of a window.
        overlap: Pixels that neighbouring windows share.
        patch_size: Side of a patch.

    Raises:
        ValueError: If window and overlap are no multiples of the patch, or the overlap is no less than
            the window.
    """

    window: int
    overlap: int
    patch_size: int

    def __post_init__(self) -> None:
        patch = self.patch_size
        if patch < 1:
            raise ValueError(f"patch_size must be positive, got {patch}.")
        if self.window < 1 or self.window % patch:
            near = max(self.window // patch, 1) * patch
            raise ValueError(
                f"A window of {self.window} pixels is no multiple of the patch size {patch}; take {near} or "
                f"{near + patch}."
            )
        if not 0 <= self.overlap < self.window or self.overlap % patch:
            raise ValueError(
                f"overlap must be a multiple of the patch size {patch}, at least 0 and below the window of "
                f"{self.window} pixels; got {self.overlap}."
            )


def window_starts(length: int, tiling: Tiling) -> NDArray[np.int64]:
    """Pixels at which the windows along one side of a scene begin.

    All are multiples of the patch. The last window is moved back to end with the last patch, so that
    it shows no more beyond the scene than it must.

    Args:
        length: Side of the scene in pixels.
        tiling: How it is cut.
    """
    whole = math.ceil(length / tiling.patch_size) * tiling.patch_size
    last = max(whole - tiling.window, 0)
    return np.append(np.arange(0, last, tiling.window - tiling.overlap), last)
