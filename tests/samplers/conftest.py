"""Pairs by hand, for tests of their samplers."""

import numpy as np
import pyarrow as pa
import pytest
import shapely
from pyproj import CRS

from xstars_lightning.datasets.archive.pairs import Pairs


@pytest.fixture
def make_pairs():
    """Pairs of two sensors with the ground of some outlines, in one CRS or in one each."""

    def make(outlines, crs="EPSG:32631"):
        names = [crs] * len(outlines) if isinstance(crs, str) else list(crs)
        known = list(dict.fromkeys(names))
        rows = np.arange(len(outlines), dtype=np.int32)
        return Pairs(
            sensors=("high", "low"),
            rows=np.stack([rows, rows], axis=1),
            crs=tuple(map(CRS, known)),
            crs_of=np.array([known.index(name) for name in names], dtype=np.int32),
            outline=pa.array(shapely.to_wkb(outlines), pa.large_binary()),
            bounds=shapely.bounds(outlines),
            area=shapely.area(outlines),
            days=np.zeros(len(outlines)),
            inputs="",
        )

    return make
