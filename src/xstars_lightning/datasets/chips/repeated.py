"""Pixels that were repeated onto a finer grid, brought back to their own."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["averaged", "cell_edges", "phase", "picked"]

Values = NDArray[np.generic]


def cell_edges(values: Values, axis: int) -> NDArray[np.int64]:
    """Positions at which neighbours differ in any band, anywhere along the border between them.

    Args:
        values: Pixels (C, H, W).
        axis: 1 for rows, 2 for columns.
    """
    lines = np.moveaxis(values, axis, 0)
    return np.flatnonzero((lines[1:] != lines[:-1]).any(axis=(1, 2))) + 1


def phase(values: Values, factor: int) -> tuple[int | None, int | None]:
    """Where the first cell begins, if values are pixels each repeated in a square of one size.

    Args:
        values: Pixels (C, H, W).
        factor: Side of a cell in pixels.

    Returns:
        Row and column, in [0, factor); None where no edge tells.

    Raises:
        ValueError: If edges lie elsewhere than a whole number of cells apart.
    """
    found: list[int | None] = []
    for axis, name in ((1, "rows"), (2, "columns")):
        edges = cell_edges(values, axis)
        if len({*(edges % factor).tolist()}) > 1:
            first = ", ".join(map(str, edges[:8].tolist()))
            raise ValueError(
                f"its pixels are not each repeated {factor} times: they change at {name} {first}, ..., which "
                f"are not {factor} apart"
            )
        found.append(int(edges[0] % factor) if len(edges) else None)
    return found[0], found[1]


def picked(values: Values, factor: int) -> Values:
    """One pixel of each cell (C, H // factor, W // factor), where all pixels of a cell are equal."""
    height, width = (side // factor * factor for side in values.shape[1:])
    return values[:, :height:factor, :width:factor]


def averaged(values: Values, factor: int) -> NDArray[np.float32]:
    """Mean of each cell (C, H // factor, W // factor).

    Values that were resampled to the finer grid by nearest neighbour are constant on areas of their
    own, so that this weights each of them by its share of the cell.
    """
    height, width = (side // factor for side in values.shape[1:])
    cells = values[:, : height * factor, : width * factor].reshape(-1, height, factor, width, factor)
    return cells.astype(np.float64).mean(axis=(2, 4)).astype(np.float32)
