"""Square blocks over an area."""

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import STRtree
from shapely.geometry.base import BaseGeometry

__all__ = ["blocks_over", "cut", "polygons"]


def polygons(area: BaseGeometry) -> NDArray[np.object_]:
    """The polygons of a polygon, multipolygon or collection; what has no area is left out."""
    parts = shapely.get_parts(shapely.get_parts(area))
    return parts[shapely.area(parts) > 0]


def blocks_over(
    area: BaseGeometry, side: tuple[float, float], origin: tuple[float, float]
) -> NDArray[np.object_]:
    """Blocks of a regular grid that meet an area, in the order of their row and column.

    Args:
        area: Where.
        side: Width and height of a block.
        origin: A corner of the grid.
    """
    sides, corner = np.array(side), np.array(origin)
    cells = set[tuple[int, int]]()
    for xmin, ymin, xmax, ymax in shapely.bounds(polygons(area)):
        low = np.floor((np.array([xmin, ymin]) - corner) / sides).astype(int)
        high = np.ceil((np.array([xmax, ymax]) - corner) / sides).astype(int)
        cells.update((row, col) for col in range(low[0], high[0]) for row in range(low[1], high[1]))
    rows_cols = np.array(sorted(cells)).reshape(-1, 2)
    lower = corner + rows_cols[:, ::-1] * sides
    boxes = shapely.box(*lower.T, *(lower + sides).T)
    meets = STRtree(boxes).query(polygons(area), predicate="intersects")[1]
    return boxes[np.unique(meets)]


def cut(area: BaseGeometry, side: float) -> NDArray[np.object_]:
    """Cut an area into pieces of at most a block each, so that one of them has few corners."""
    parts = polygons(area)
    xmin, ymin, *_ = area.bounds
    boxes = blocks_over(area, (side, side), (xmin, ymin))
    part, box = STRtree(boxes).query(parts, predicate="intersects")
    pieces = shapely.intersection(parts[part], boxes[box])
    return np.concatenate([polygons(piece) for piece in pieces[shapely.area(pieces) > 0]])
