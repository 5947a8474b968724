"""A split by geography: no pixel is seen in training and in validation."""

from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from xstars_lightning.samplers.blocks import blocks_over

__all__ = ["Split", "split_at", "split_blocks"]


class Split(NamedTuple):
    """Regions within which whole windows lie; they need not be valid ground everywhere."""

    train: BaseGeometry
    val: BaseGeometry


def split_blocks(
    area: BaseGeometry,
    block: float | tuple[float, float],
    val_fraction: float,
    seed: int = 0,
    margin: float = 0.0,
    origin: tuple[float, float] = (0.0, 0.0),
) -> Split:
    """Choose square blocks for validation at random, until they hold the fraction of the area.

    Blocks that the area fills are chosen first, and those it fills less than half last: hardly a
    window fits into them.

    Args:
        area: Valid ground.
        block: Side of a block, or its width and height.
        val_fraction: Share of the area to validate on, in [0, 1); at least one block if positive.
        seed: Of the choice.
        margin: Distance kept between training windows and validation blocks.
        origin: A corner of the grid of blocks.

    Raises:
        ValueError: If the fraction is out of range, or one block holds all of the area.
    """
    if not 0 <= val_fraction < 1:
        raise ValueError(f"val_fraction must lie in [0, 1), got {val_fraction}.")
    sides = block if isinstance(block, tuple) else (block, block)
    blocks = blocks_over(area, sides, origin)
    covered = shapely.area(shapely.intersection(blocks, area))
    if val_fraction > 0 and (covered > 0).sum() < 2:
        raise ValueError(
            f"The area, {_extent(area)}, fits into one block of {sides[0]:g} x {sides[1]:g}: it cannot be "
            "split. Give a smaller block or window, or name the validation area (val_area)."
        )
    chosen = _choose(covered, sides[0] * sides[1], val_fraction, seed)
    val = shapely.union_all(blocks[chosen])
    train = shapely.difference(shapely.union_all(blocks[~chosen]), _grown(val, margin))
    return Split(train, val)


def split_at(area: BaseGeometry, val_area: BaseGeometry, margin: float = 0.0) -> Split:
    """Validate within a given area; train on windows that do not touch it.

    Raises:
        ValueError: If the two do not meet.
    """
    if not shapely.intersection(area, val_area).area > 0:
        raise ValueError(
            f"The validation area, {_extent(val_area)}, shares no ground with the data, {_extent(area)}. "
            "Check the file given as val_area and its CRS."
        )
    # Windows may stick out of the valid ground by the share of them that may be invalid.
    around = shapely.box(*area.bounds).buffer(max(np.ptp(np.reshape(area.bounds, (2, 2)), axis=0)))
    return Split(shapely.difference(around, _grown(val_area, margin)), val_area)


def _choose(covered: NDArray[np.float64], full: float, fraction: float, seed: int) -> NDArray[np.bool_]:
    """Blocks to validate on, as a mask."""
    order = np.random.default_rng(seed).permutation(len(covered))
    order = order[covered[order] > 0]
    fullness = np.digitize(covered[order] / full, (0.5, 0.9))
    order = order[np.argsort(-fullness, kind="stable")]
    chosen = np.zeros(len(covered), dtype=bool)
    if fraction > 0:
        share = np.cumsum(covered[order]) / covered.sum()
        count = 1 + int(np.abs(share[:-1] - fraction).argmin())
        chosen[order[:count]] = True
    return chosen


def _grown(area: BaseGeometry, margin: float) -> BaseGeometry:
    return shapely.buffer(area, margin, join_style="mitre") if margin else area


def _extent(area: BaseGeometry) -> str:
    xmin, ymin, xmax, ymax = area.bounds
    return f"{xmax - xmin:.6g} x {ymax - ymin:.6g} at x {xmin:.2f} to {xmax:.2f}, y {ymin:.2f} to {ymax:.2f}"
