"""Windows per second of CrossSensorDataset against plain rasterio and TorchGeo on the same 1,000 files.

A fine sensor (1.5 m, 1024 x 1024, three bands of bytes) and a coarse one (10 m, 160 x 160, four bands of
16 bits), 500 GeoTIFFs each, deflated and tiled, apart from each other on a grid. A window is 480 m: 320
and 48 pixels, read without resampling by all three.

- Plain rasterio knows which file to read and where, and keeps as many files open: the floor.
- xstars draws windows by its sampler, looks the files up, and returns tensors with validity.
- TorchGeo draws windows by its sampler; its IntersectionDataset is given a collate function and the
  coarse sensor's resolution again after it is built, else it would read both sensors on one grid.

The three take turns, 20 windows each, so that what else the machine does falls on all; the least,
middle and largest rate of the rounds is printed, and ratios are the middle ones of the rounds' ratios.
Nothing here measures the disk: the files are in the page cache.

    python benchmarks/bench_reading.py
"""

import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from functools import lru_cache
from itertools import batched, islice
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from rasterio.windows import from_bounds
from scipy.ndimage import gaussian_filter
from torchgeo.datasets import IntersectionDataset, RasterDataset
from torchgeo.samplers import RandomPatchSampler, Units

from xstars_lightning.datasets import CrossSensorDataset, NativeRasterDataset
from xstars_lightning.datasets.handles import open_limit
from xstars_lightning.samplers import RandomWindowSampler
from xstars_lightning.sensors import Sensor

FILES, COLUMNS, SPACING, CORNER = 500, 25, 2000.0, (400_000.0, 5_000_000.0)
WINDOW, ROUNDS, TURN = 480.0, 41, 20  # the first round is not counted
WINDOWS = ROUNDS * TURN
FINE = Sensor("fine", ("red", "green", "blue"), 1.5, (0, 255), (0.4,) * 3, (0.2,) * 3)
COARSE = Sensor("coarse", ("blue", "green", "red", "nir"), 10, (0, 10000), (0.2,) * 4, (0.1,) * 4)
SIDES = {"fine": 1024, "coarse": 160}
TYPES = {"fine": "uint8", "coarse": "uint16"}


def write_files(folder: Path) -> None:
    """Write smooth fields with a little noise, which deflate to about two thirds as imagery does."""
    generator = np.random.default_rng(0)
    for sensor in (FINE, COARSE):
        (folder / sensor.name).mkdir()
        side, bands = SIDES[sensor.name], len(sensor.bands)
        field = gaussian_filter(generator.normal(size=(bands, side, side)), (0, 8, 8), mode="wrap") * 300
        field = field + generator.normal(scale=2, size=field.shape) + 128
        pixels = np.clip(field, 0, 255) * (1 if sensor is FINE else 12)
        profile = {"count": bands, "height": side, "width": side, "dtype": TYPES[sensor.name]}
        profile |= {"crs": "EPSG:32631", "transform": ground(sensor, 0)}
        profile |= {"compress": "deflate", "tiled": True, "blockxsize": 256, "blockysize": 256}
        first = folder / sensor.name / "000.tif"
        with rasterio.open(first, "w", driver="GTiff", **profile) as file:
            file.write(pixels.astype(profile["dtype"]))
        for number in reversed(range(FILES)):
            path = shutil.copy(first, folder / sensor.name / f"{number:03d}.tif") if number else first
            with rasterio.open(path, "r+") as file:
                file.transform = ground(sensor, number)


def ground(sensor: Sensor, number: int) -> Affine:
    """Where a file lies."""
    x, y = CORNER[0] + SPACING * (number % COLUMNS), CORNER[1] + SPACING * (number // COLUMNS)
    return Affine(sensor.resolution, 0, x, 0, -sensor.resolution, y)


def plain(folder: Path, sampler: RandomWindowSampler) -> Iterator[object]:
    """Read windows of known files; those of the sampler, drawn beforehand."""
    opened = lru_cache(maxsize=open_limit())(rasterio.open)
    tasks = []
    for x, y in sampler:
        column, row = (x.start - CORNER[0]) // SPACING, (y.stop - CORNER[1]) // -SPACING
        number = int(column - COLUMNS * row)
        for sensor in (FINE, COARSE):
            window = from_bounds(x.start, y.start, x.stop, y.stop, ground(sensor, number)).round()
            tasks.append((folder / sensor.name / f"{number:03d}.tif", window))
    for fine, coarse in batched(tasks, 2):
        yield [opened(path).read(window=window) for path, window in (fine, coarse)]


def xstars(dataset: CrossSensorDataset, sampler: RandomWindowSampler) -> Iterator[object]:
    """Draw, look up and read."""
    for window in sampler:
        yield dataset[window]


def torchgeo(folder: Path) -> Iterator[object]:
    """Draw, look up and read, each sensor on its own grid."""
    fine, coarse = (RasterDataset(folder / sensor.name) for sensor in (FINE, COARSE))
    both = IntersectionDataset(fine, coarse, collate_fn=tuple)
    coarse.res = (COARSE.resolution, COARSE.resolution)
    for window in RandomPatchSampler(both, size=WINDOW, length=WINDOWS, units=Units.CRS):
        shapes = [sample["image"].shape[1] for sample in both[window]]
        assert shapes == [320, 48], shapes
        yield shapes


def measure(ways: dict[str, Iterator[object]]) -> dict[str, list[float]]:
    """Windows per second of every way in each round; the first, in which things are set up, is left out."""
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, windows in ways.items():
            start = time.perf_counter()
            read = sum(1 for _ in islice(windows, TURN))
            rates[name].append(round(read / (time.perf_counter() - start), 1))
    return {name: values[1:] for name, values in rates.items()}


def main() -> None:
    """Print one JSON object."""
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root)
        write_files(folder)
        sensors = {
            sensor.name: NativeRasterDataset(folder / sensor.name, sensor) for sensor in (FINE, COARSE)
        }
        dataset = CrossSensorDataset(sensors, raw=True)
        sampler = RandomWindowSampler(dataset.area, WINDOW, WINDOWS, dataset.snap, min_valid=1)
        ways = {"rasterio": plain(folder, sampler), "xstars": xstars(dataset, sampler)}
        rates = measure(ways | {"torchgeo": torchgeo(folder)})
    ratio = {
        name: statistics.median(mine / other for mine, other in zip(rates["xstars"], values, strict=True))
        for name, values in rates.items()
    }
    result = {
        "benchmark": f"windows per second, two sensors, {FILES} files each",
        "window_m": WINDOW,
        "rates": {
            name: {"min": min(values), "median": round(statistics.median(values), 1), "max": max(values)}
            for name, values in rates.items()
        },
        "share_of_rasterio": round(ratio["rasterio"], 3),
        "times_torchgeo": round(ratio["torchgeo"], 3),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
