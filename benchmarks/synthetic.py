"""Archives of scenes that do not exist, for benchmarks at their size, and files for those that are read."""

import math
import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import rasterio
import shapely
from affine import Affine
from geopandas import GeoDataFrame
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from scipy.ndimage import gaussian_filter
from torchgeo.datasets import RasterDataset

from xstars_lightning.datasets.archive.footprints import Footprints
from xstars_lightning.sensors import Sensor

SPACING, NORTH = 2000.0, 4_500_000.0
FINE = Sensor("fine", ("red", "green", "blue"), 1.5, (0, 255), (0.4,) * 3, (0.2,) * 3)
COARSE = Sensor("coarse", ("blue", "green", "red", "nir"), 10, (0, 10000), (0.2,) * 4, (0.1,) * 4)
SIDES = {"fine": 1024, "coarse": 160}
TYPES = {"fine": "uint8", "coarse": "uint16"}


def scenes(
    sensor: Sensor, paths: list[str], zones: int, shift: float = 0, angle: float = 0, foreign: int = 0
) -> Footprints:
    """Scenes 2 km apart on a grid in each of some UTM zones, from 2 on.

    Args:
        sensor: ``FINE`` (1536 m) or ``COARSE`` (1600 m).
        paths: A path per scene.
        zones: Number of zones.
        shift: Metres by which scenes are displaced at random.
        angle: Degrees by which they are rotated.
        foreign: One in so many is in the CRS of the next zone; 0: none.
    """
    generator, side = np.random.default_rng(0), SIDES[sensor.name]
    zone, place = np.divmod(np.arange(len(paths)), math.ceil(len(paths) / zones))
    columns = math.ceil(math.sqrt(len(paths) / zones))
    corner = np.stack([place % columns - columns / 2, -(place // columns)], axis=1) * SPACING
    corner += np.array([500_000, NORTH]) + generator.uniform(-shift, shift, corner.shape)
    crs = tuple(CRS(32602 + number) for number in range(zones + 1))
    if foreign:
        for number in range(zones):
            rows = np.flatnonzero((zone == number) & (place % foreign == 0))
            corner[rows] = moved(corner[rows], crs[number], crs[number + 1])
            zone[rows] += 1
    right = sensor.resolution * np.exp(1j * np.radians(angle)) * np.array([1, -1j])
    steps = np.stack([right.real, right.imag], axis=1)  # a pixel to the right, and one down
    corners = corner[:, None] + side * (np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]) @ steps)
    day = np.datetime64("2024-01-01", "us") + generator.integers(0, 730, (len(paths), 1)) * np.timedelta64(
        1, "D"
    )
    coefficients = [np.broadcast_to(steps[:, axis], (len(paths), 2)) for axis in (0, 1)]
    return Footprints(
        pa.array(paths, pa.large_string()),
        crs,
        zone.astype(np.int32),
        np.column_stack([coefficients[0], corner[:, :1], coefficients[1], corner[:, 1:]]),
        np.full((len(paths), 2), side, np.int32),
        pa.array(shapely.to_wkb(shapely.polygons(corners)), pa.large_binary()),
        degrees(corners[:, :4], zone, crs),
        np.repeat(day, 2, axis=1),
        np.full((len(paths), 2), -1),
        "synthetic",
    )


def moved(points: NDArray[np.float64], source: CRS, target: CRS) -> NDArray[np.float64]:
    """Points (N, 2) in another CRS."""
    return np.stack(Transformer.from_crs(source, target, always_xy=True).transform(*points.T), axis=1)


def degrees(
    corners: NDArray[np.float64], zone: NDArray[np.int64], crs: tuple[CRS, ...]
) -> NDArray[np.float64]:
    """Boxes (N, 4) in degrees around corners (N, 4, 2)."""
    lonlat = np.empty_like(corners)
    for number in np.unique(zone):
        points = corners[zone == number].reshape(-1, 2)
        lonlat[zone == number] = moved(points, crs[number], CRS("OGC:CRS84")).reshape(-1, 4, 2)
    return np.concatenate([lonlat.min(axis=1), lonlat.max(axis=1)], axis=1)


def write_scenes(index: Footprints, rows: Iterable[int], sensor: Sensor) -> None:
    """Write files of some scenes: smooth fields with a little noise, deflated, tiled by 256."""
    generator, side, bands = np.random.default_rng(0), SIDES[sensor.name], len(sensor.bands)
    field = gaussian_filter(generator.normal(size=(bands, side, side)), (0, 8, 8), mode="wrap") * 300
    field = field + generator.normal(scale=2, size=field.shape) + 128
    pixels = np.clip(field, 0, 255) * (1 if sensor is FINE else 12)
    profile = {"count": bands, "height": side, "width": side, "dtype": TYPES[sensor.name]}
    profile |= {
        "crs": index.crs[0],
        "compress": "deflate",
        "tiled": True,
        "blockxsize": 256,
        "blockysize": 256,
    }
    first, *others = rows
    original = Path(index.path[first].as_py())
    original.parent.mkdir()
    with rasterio.open(original, "w", driver="GTiff", transform=ground(index, first), **profile) as file:
        file.write(pixels.astype(profile["dtype"]))
    for row in others:
        with rasterio.open(shutil.copy(original, index.path[row].as_py()), "r+") as file:
            file.transform = ground(index, row)


def ground(index: Footprints, row: int) -> Affine:
    """Where a scene lies."""
    return Affine(*index.transform[row].tolist())


class Indexed(RasterDataset):
    """TorchGeo's dataset of scenes, its index made of footprints: its own way is to open each file first.

    Args:
        index: Scenes in one CRS, the first.
        sensor: Theirs.
    """

    def __init__(self, index: Footprints, sensor: Sensor) -> None:
        self.bands, self.band_indexes, self.transforms = self.all_bands, None, None
        self.cache, self.time_series = True, False
        self._res = (sensor.resolution, sensor.resolution)
        always = pd.IntervalIndex.from_arrays(
            *(np.full(len(index), time) for time in (self.mint, self.maxt)), closed="both", name="datetime"
        )
        paths = {"filepath": index.path.to_pylist()}
        self.index = GeoDataFrame(paths, index=always, geometry=index.outlines(slice(None)), crs=index.crs[0])
