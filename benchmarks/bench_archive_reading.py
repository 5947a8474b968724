"""Windows per second of ArchiveDataset against TorchGeo, from an archive of 100,000 scenes per sensor.

The scenes lie in one UTM zone, for TorchGeo has one CRS per dataset, on a grid: a fine sensor (1.5 m, 1024 x
1024, three bands of bytes) and a coarse one (10 m, 160 x 160, four bands of 16 bits). A window is 480 m: 320
and 48 pixels. Both sides know all the scenes, draw windows among all of them and look them up; but files,
deflated and tiled GeoTIFFs where the scenes lie, are written only for scenes in which a window falls,
which the seeds tell beforehand. As in any archive of this size, nearly every window opens its files anew.

- Plain rasterio knows which files to read and where, and opens as many: the floor.
- xstars joins the two indexes, draws by its sampler, an epoch per round; it returns raw pixels and validity.
- TorchGeo gets its index made by hand, else it would open 200,000 files first. Its IntersectionDataset is
  given a collate function and the coarse sensor's resolution again, else it would read both sensors on one
  grid. Its sampler is RandomGeoSampler, the fastest at this size: RandomPatchSampler takes minutes to
  begin, and GriddedPatchSampler walks the grid of the whole box for each window.

They take turns, 15 windows, 15 and 3, so that what else the machine does falls on all; the least, middle
and largest rate of the rounds is printed, and ratios are the middle ones of the rounds' ratios. What a
window takes longer than with plain rasterio is given too: all that is not opening and decoding files.
Nothing here measures the disk: the files are in the page cache.

    python benchmarks/bench_archive_reading.py [scenes per sensor]
"""

import json
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from functools import lru_cache
from itertools import count, islice

import rasterio
import shapely
import torch
from rasterio.windows import from_bounds
from torchgeo.datasets import IntersectionDataset
from torchgeo.samplers import RandomGeoSampler, Units

from synthetic import COARSE, FINE, Indexed, ground, scenes, write_scenes
from xstars_lightning.datasets.archive.dataset import ArchiveDataset
from xstars_lightning.datasets.archive.footprints import Footprints
from xstars_lightning.datasets.archive.joining import join
from xstars_lightning.datasets.archive.pairs import PairWindow
from xstars_lightning.datasets.handles import open_limit
from xstars_lightning.samplers import PairWindowSampler

WINDOW, ROUNDS, TURNS = (
    480.0,
    22,
    {"rasterio": 15, "xstars": 15, "torchgeo": 3},
)  # the first round is not counted
SHAPES = [320, 48]
GOAL = 30


def open_xstars(indexes: dict[str, Footprints]) -> tuple[ArchiveDataset, PairWindowSampler]:
    """Join the indexes."""
    pairs = join(indexes)
    dataset = ArchiveDataset(indexes, {"fine": FINE, "coarse": COARSE}, pairs, raw=True)
    return dataset, PairWindowSampler(pairs, WINDOW, TURNS["xstars"], min_valid=1)


def open_torchgeo(indexes: dict[str, Footprints]) -> tuple[IntersectionDataset, RandomGeoSampler]:
    """Intersect the indexes."""
    fine, coarse = Indexed(indexes["fine"], FINE), Indexed(indexes["coarse"], COARSE)
    both = IntersectionDataset(fine, coarse, collate_fn=tuple)
    coarse.res = (COARSE.resolution, COARSE.resolution)
    return both, RandomGeoSampler(both, WINDOW, ROUNDS * TURNS["torchgeo"], units=Units.CRS)


def plain(indexes: dict[str, Footprints], sampler: PairWindowSampler) -> Iterator[object]:
    """Read the windows of the sampler, drawn beforehand, from known files."""
    opened = lru_cache(maxsize=open_limit())(rasterio.open)
    tasks = []
    for pair, *bounds in drawn(sampler):
        row = int(sampler.ground.pairs.rows[pair, 0])
        places = [(index.path[row].as_py(), ground(index, row)) for index in indexes.values()]
        tasks.append([(path, from_bounds(*bounds, transform).round()) for path, transform in places])
    for task in tasks:
        pixels = [opened(path).read(window=window) for path, window in task]
        assert [image.shape[1] for image in pixels] == SHAPES
        yield pixels


def xstars(dataset: ArchiveDataset, sampler: PairWindowSampler) -> Iterator[object]:
    """Draw, look up and read."""
    for epoch in count():
        sampler.set_epoch(epoch)
        for window in sampler:
            sample = dataset[window]
            assert [sample[f"raw_{key}"].shape[1] for key in ("fine", "coarse")] == SHAPES
            yield sample


def torchgeo(dataset: IntersectionDataset, sampler: RandomGeoSampler) -> Iterator[object]:
    """Draw, look up and read, each sensor on its own grid."""
    torch.manual_seed(0)
    for window in sampler:
        samples = dataset[window]
        assert [sample["image"].shape[1] for sample in samples] == SHAPES
        yield samples


def drawn(sampler: PairWindowSampler) -> list[PairWindow]:
    """The windows of all rounds."""
    windows = []
    for epoch in range(ROUNDS):
        sampler.set_epoch(epoch)
        windows += sampler
    return windows


def touched(indexes: dict[str, Footprints], mine: PairWindowSampler, other: RandomGeoSampler) -> list[int]:
    """Scenes in which windows will fall; those of a place have one number in both indexes."""
    rows = {int(mine.ground.pairs.rows[window.pair, 0]) for window in drawn(mine)}
    torch.manual_seed(0)
    windows = [shapely.box(x.start, y.start, x.stop, y.stop) for x, y, _ in other]
    tree = shapely.STRtree(indexes["fine"].outlines(slice(None)))
    return sorted(rows | set(tree.query(windows, "intersects")[1].tolist()))


def measure(ways: dict[str, Iterator[object]]) -> dict[str, list[float]]:
    """Windows per second of every way in each round; the first, in which things are set up, is left out."""
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, windows in ways.items():
            start = time.perf_counter()
            read = sum(1 for _ in islice(windows, TURNS[name]))
            rates[name].append(round(read / (time.perf_counter() - start), 2))
    return {name: values[1:] for name, values in rates.items()}


def spread(values: list[float]) -> dict[str, float]:
    """Least, middle and largest."""
    return {"min": min(values), "median": statistics.median(values), "max": max(values)}


def main(number: int) -> None:
    """Print one JSON object."""
    warnings.filterwarnings("ignore", category=DeprecationWarning)  # of TorchGeo's faster sampler
    opened, seconds = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        indexes = {
            sensor.name: scenes(sensor, [f"{folder}/{sensor.name}/{row:06}.tif" for row in range(number)], 1)
            for sensor in (FINE, COARSE)
        }
        for name, opening in {"xstars": open_xstars, "torchgeo": open_torchgeo}.items():
            start = time.perf_counter()
            opened[name] = opening(indexes)
            seconds[name] = round(time.perf_counter() - start, 2)
        rows = touched(indexes, opened["xstars"][1], opened["torchgeo"][1])
        for sensor in (FINE, COARSE):
            write_scenes(indexes[sensor.name], rows, sensor)
        ways = {name: way(*opened[name]) for name, way in {"xstars": xstars, "torchgeo": torchgeo}.items()}
        rates = measure({"rasterio": plain(indexes, opened["xstars"][1])} | ways)
    median = {name: statistics.median(values) for name, values in rates.items()}
    ratios = {
        name: [mine / other for mine, other in zip(rates["xstars"], values, strict=True)]
        for name, values in rates.items()
    }
    times = {name: round(value, 2) for name, value in spread(ratios["torchgeo"]).items()}
    result = {
        "benchmark": f"windows per second, two sensors, {number} scenes each",
        "window_m": WINDOW,
        "files_per_sensor": len(rows),
        "seconds_to_open": seconds,
        "rates": {name: spread(values) for name, values in rates.items()},
        "share_of_rasterio": round(statistics.median(ratios["rasterio"]), 3),
        "times_torchgeo": times,
        "ms_beyond_rasterio": {
            name: round(1000 / rate - 1000 / median["rasterio"], 3) for name, rate in median.items()
        },
        "goals": {
            "times_torchgeo": {"measured": times["median"], "least": GOAL, "met": times["median"] >= GOAL}
        },
        "load": os.getloadavg()[0],
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
