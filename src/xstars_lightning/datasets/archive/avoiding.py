"""Ground taken out of pairs, such as that of a downstream test set."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pyarrow as pa
import shapely
from pyproj import CRS
from shapely.geometry.base import BaseGeometry

from xstars_lightning.datasets.archive.pairs import Pairs

__all__ = ["without"]


def without(pairs: Pairs, area_in: Callable[[CRS], BaseGeometry], margin: float = 0.0) -> Pairs:
    """Take an area out of the ground of pairs; a pair that lies in it remains, without ground.

    Args:
        pairs: The pairs.
        area_in: Gives the area in a CRS.
        margin: Distance in metres by which the area is grown.
    """
    changed: dict[int, bytes] = {}
    bounds, area = pairs.bounds.copy(), pairs.area.copy()
    for number, crs in enumerate(pairs.crs):
        avoided = shapely.buffer(area_in(crs), margin)
        xmin, ymin, xmax, ymax = avoided.bounds
        west, south, east, north = pairs.bounds.T
        near = (west < xmax) & (east > xmin) & (south < ymax) & (north > ymin) & (pairs.crs_of == number)
        rows = np.flatnonzero(near)
        left = shapely.difference(pairs.outlines(rows), avoided)
        bounds[rows], area[rows] = np.nan_to_num(shapely.bounds(left)), shapely.area(left)
        changed |= dict(zip(rows.tolist(), shapely.to_wkb(left), strict=True))
    # The pairs that changed follow the others, and are taken from there: no object for those that did not.
    places = np.arange(len(pairs))
    places[list(changed)] = len(pairs) + np.arange(len(changed))
    both = pa.concat_arrays([pairs.outline, pa.array(changed.values(), pa.large_binary())])
    return replace(pairs, outline=both.take(pa.array(places)), bounds=bounds, area=area)
