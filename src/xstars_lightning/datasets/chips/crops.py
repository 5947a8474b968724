"""The same ground in images of several resolutions, cut on whole pixels of all of them."""

import math
from collections.abc import Iterable, Mapping
from fractions import Fraction

import numpy as np

__all__ = ["Crops", "common_step"]

Shape = tuple[int, int]
Ground = tuple[Fraction, Fraction]
Part = tuple[slice, slice]


def common_step(resolutions: Iterable[float]) -> Fraction:
    """The least length in metres that is a whole number of pixels of each resolution: 30 of 1.5 and 10."""
    exact = [_exact(resolution) for resolution in resolutions]
    scale = math.lcm(*(value.denominator for value in exact))
    return Fraction(math.lcm(*(int(value * scale) for value in exact)), scale)


class Crops:
    """Says which pixels of each sensor show a crop of a chip.

    Args:
        resolutions: Pixel size in metres of each sensor.
        window: Side of a crop in metres; None: whole chips.
        slack: How far footprints of one chip may differ, in pixels of the coarsest sensor. They are
            laid centre on centre, so that half of it, or less, is the error at the edge.

    Raises:
        ValueError: If the window is no whole number of pixels of every sensor.
    """

    def __init__(self, resolutions: Mapping[str, float], window: float | None, slack: float) -> None:
        self.resolutions = {key: _exact(value) for key, value in resolutions.items()}
        self.step = common_step(resolutions.values())
        self.window = None if window is None else _exact(window)
        self.slack = slack * max(self.resolutions.values())
        if self.window is not None and (self.window <= 0 or self.window % self.step):
            pixels = ", ".join(f"{key} {value:g} m" for key, value in resolutions.items())
            raise ValueError(
                f"window {window:g} is no whole number of pixels of every sensor ({pixels}); give a multiple "
                f"of {float(self.step):g} m."
            )

    def ground(self, shapes: Mapping[str, Shape]) -> Ground:
        """Height and width in metres that all images of a chip show, in whole pixels of every sensor.

        Args:
            shapes: Height and width in pixels of each sensor that has an image.

        Raises:
            ValueError: If the images do not show the same ground, or less of it than the window.
        """
        sides = [[shape[axis] * self.resolutions[key] for key, shape in shapes.items()] for axis in (0, 1)]
        if any(max(side) - min(side) > self.slack for side in sides):
            raise ValueError(
                f"the images do not show the same ground: {self._listed(shapes)}. Their sizes must be in the "
                "ratio of the resolutions; give the sensors the resolution of these files, or repair them."
            )
        height, width = (min(side) // self.step * self.step for side in sides)
        least = self.window or self.step
        if min(height, width) < least:
            raise ValueError(
                f"it shows less ground than a crop of {float(least):g} m: {self._listed(shapes)}. Give a "
                f"smaller window, a multiple of {float(self.step):g} m, or leave this chip out."
            )
        return height, width

    def parts(self, shapes: Mapping[str, Shape], rng: np.random.Generator | None) -> dict[str, Part]:
        """Rows and columns of each image that show the crop.

        Args:
            shapes: Height and width of each image in pixels.
            rng: Decides on the place; None: the middle.

        Raises:
            ValueError: As :meth:`ground`.
        """
        ground = self.ground(shapes)
        size = (self.window or ground[0], self.window or ground[1])
        rooms = [int((have - want) / self.step) for have, want in zip(ground, size, strict=True)]
        steps = [room // 2 if rng is None else int(rng.integers(room + 1)) for room in rooms]
        parts = {}
        for key, shape in shapes.items():
            pixel = self.resolutions[key]
            starts = [
                (have - int(side / pixel)) // 2 + int(step * self.step / pixel)
                for have, side, step in zip(shape, ground, steps, strict=True)
            ]
            rows, cols = (slice(at, at + int(side / pixel)) for at, side in zip(starts, size, strict=True))
            parts[key] = (rows, cols)
        return parts

    def shape(self, key: str, ground: Ground) -> Shape:
        """Height and width in pixels of a sensor's crop."""
        height, width = (int((self.window or side) / self.resolutions[key]) for side in ground)
        return height, width

    def _listed(self, shapes: Mapping[str, Shape]) -> str:
        return ", ".join(
            f"{key} {height} x {width} pixels of {float(self.resolutions[key]):g} m"
            for key, (height, width) in shapes.items()
        )


def _exact(value: float) -> Fraction:
    return Fraction(value).limit_denominator(1000)
