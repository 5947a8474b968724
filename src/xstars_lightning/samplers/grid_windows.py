"""Windows side by side, for validation."""

from collections.abc import Iterator

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry
from torch.utils.data import Sampler

from xstars_lightning.samplers.blocks import polygons
from xstars_lightning.samplers.ground import Boxes, Ground, Snap, Window, to_slices

__all__ = ["GridWindowSampler"]


class GridWindowSampler(Sampler[Window]):
    """Square windows side by side, the same in every process and epoch.

    Args:
        area: Valid ground.
        size: Side of a window in units of the CRS.
        snap: Grid of the windows' upper-left corners.
        region: Windows lie wholly within; each of its polygons begins a grid of its own.
        min_valid: Least share of valid ground in a window, in (0, 1].
        stride: Distance between windows; ``size`` by default. Rounded up to the snapping grid.

    Raises:
        ValueError: If no window fits on the ground.
    """

    def __init__(
        self,
        area: BaseGeometry,
        size: float,
        snap: Snap,
        region: BaseGeometry | None = None,
        min_valid: float = 0.95,
        stride: float | None = None,
    ) -> None:
        ground = Ground(area, size, snap, region, min_valid)
        around = shapely.box(*area.bounds)
        parts = [around] if region is None else polygons(shapely.intersection(region, around))
        candidates = [_grid(part, size, stride or size, snap) for part in parts]
        windows = np.concatenate(candidates)
        self.windows = windows[ground.accepts(windows)]
        if not len(self.windows):
            raise ground.no_room()

    def __len__(self) -> int:
        """Number of windows."""
        return len(self.windows)

    def __iter__(self) -> Iterator[Window]:
        """Yield ``(slice(xmin, xmax), slice(ymin, ymax))``, row by row from the north."""
        return to_slices(self.windows)


def _grid(part: BaseGeometry, size: float, stride: float, snap: Snap) -> Boxes:
    """All windows of a grid that begins at the upper-left corner of a polygon."""
    step_x, step_y, origin_x, origin_y = snap
    xmin, ymin, xmax, ymax = part.bounds
    left = np.ceil((xmin - origin_x) / step_x - 1e-6) * step_x + origin_x
    top = np.floor((ymax - origin_y) / step_y + 1e-6) * step_y + origin_y
    dx, dy = (np.ceil(stride / step - 1e-6) * step for step in (step_x, step_y))
    x, y = np.meshgrid(np.arange(left, xmax, dx), np.arange(top, ymin, -dy))
    return np.stack([x.ravel(), y.ravel() - size, x.ravel() + size, y.ravel()], axis=1)
