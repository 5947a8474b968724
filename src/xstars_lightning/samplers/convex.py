"""How much of square windows lies outside of convex outlines, read from their WKB without a geometry."""

import struct

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

__all__ = ["lost_shares"]

Float = NDArray[np.float64]
Complex = NDArray[np.complex128]
Bool = NDArray[np.bool_]

CORNERS = 8  # at most; two rectangles share an octagon
HEADER = struct.pack("<BII", 1, 3, 1)  # little-endian, a polygon, of one ring; then the number of points
FLAT = 1e-6  # least extent of a window across an edge, in windows; of none, the quotient has no value


def lost_shares(
    outline: pa.LargeBinaryArray, rows: NDArray[np.int64], centres: Complex, size: float
) -> tuple[Float, Float]:
    """Least and greatest share (N,) of windows that may lie outside of outlines, to about 1e-6.

    What an edge cuts off a square is known exactly; edges together cut off as much as the one that cuts
    most, and no more than the sum. Where one edge alone meets the window, both are the same.

    Args:
        outline: Polygons as WKB.
        rows: Of the outline of each window (N,).
        centres: Of the windows, x + iy (N,).
        size: Side of a window.

    Returns:
        Least and greatest share: 1 and 1 where the centre lies outside, 0 and 1 (unknown) where the outline
        is not convex or has more than eight corners.
    """
    few, points, count = _rings(outline, rows)
    edges = np.diff(points, axis=1)
    turns = (np.conj(edges[:, :-1]) * edges[:, 1:]).imag
    # A corner that is there twice would hide a turn.
    convex = ((turns >= 0).all(axis=1) | (turns <= 0).all(axis=1)) & (edges != 0).all(axis=1)
    few, points, edges = few[convex], points[convex, :CORNERS], edges[convex, :CORNERS]
    turned = np.sign(turns[convex].sum(axis=1, keepdims=True))

    edges /= np.abs(edges)
    within = turned * (np.conj(edges) * (centres[few, None] - points)).imag
    within[np.arange(CORNERS) >= count[convex, None]] = np.inf  # edges that were counted before
    cut = np.where((within < 0).any(axis=1, keepdims=True), 1, _beyond(edges, within / size))
    least, most = np.zeros(len(rows)), np.ones(len(rows))
    least[few], most[few] = cut.max(axis=1), np.minimum(cut.sum(axis=1), 1)
    return least, most


def _rings(
    outline: pa.LargeBinaryArray, rows: NDArray[np.int64]
) -> tuple[NDArray[np.int64], Complex, NDArray[np.int64]]:
    """Which rows are polygons of one short ring, their corners over and over, and the number of those."""
    _, offsets, values = outline.buffers()
    offsets = np.frombuffer(offsets, dtype=np.int64)[outline.offset :]
    header = np.ndarray(values.size - 8, "V9", values, strides=(1,))
    begin = offsets[rows]
    count = (offsets[rows + 1] - begin - 13) // 16 - 1  # a ring ends with its first point
    few = np.flatnonzero((count >= 3) & (count <= CORNERS) & (header[begin] == np.void(HEADER)))
    number = np.arange(CORNERS + 2) % count[few, None]
    points = np.ndarray(values.size - 15, "<c16", values, strides=(1,))
    return few, points[begin[few, None] + 13 + 16 * number], count[few]


def _beyond(edges: Complex, within: Float) -> Float:
    """Share of a square of side 1 beyond lines: the area of four triangles.

    Args:
        edges: Unit vectors along the lines.
        within: Distance from the centre to the line, negative beyond it.
    """
    p, q = np.maximum(np.abs(edges.real), FLAT) / 2, np.maximum(np.abs(edges.imag), FLAT) / 2
    reach, flank = p + q, np.abs(p - q)
    within = np.clip(within, -reach, reach)
    far = (reach - within) ** 2
    near = np.maximum(flank - within, 0) ** 2 + np.maximum(-flank - within, 0) ** 2
    return (far - near) / (8 * p * q)
