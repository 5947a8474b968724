"""Windows per second of CrossSensorDataset against plain rasterio and TorchGeo on the same files.

Three simulated sensors (1.5, 10 and 30 m) over the same ground; every way reads the same windows.
Plain rasterio keeps its files open and knows which file to read: the floor. TorchGeo's
IntersectionDataset reads all sensors on the grid of the first, here the coarsest, so it moves far fewer
pixels than the other two; that is as near as it comes.

    python benchmarks/bench_reading.py
"""

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import rasterio
from rasterio.windows import from_bounds
from torchgeo.datasets import RasterDataset

from xstars_lightning.datasets import CrossSensorDataset, NativeRasterDataset, write_scenes
from xstars_lightning.samplers import RandomWindowSampler
from xstars_lightning.sensors import resolve_sensors

SENSORS = resolve_sensors({"landsat": "landsat_rgb", "sentinel2": "sentinel2_rgb", "spot": "spot_rgb"})
WINDOW, WINDOWS, ROUNDS = 660.0, 150, 5
Window = tuple[slice, slice]


def plain(folder: Path) -> Callable[[Window], object]:
    """Open files once, find the one that holds the window, read it."""
    files = [rasterio.open(path) for key in SENSORS for path in sorted((folder / key).glob("*.tif"))]

    def read(window: Window) -> list[object]:
        x, y = window
        covering = [
            file
            for file in files
            if file.bounds.left <= x.start < file.bounds.right
            and file.bounds.bottom <= y.start < file.bounds.top
        ]
        return [
            file.read(window=from_bounds(x.start, y.start, x.stop, y.stop, file.transform))
            for file in covering
        ]

    return read


def torchgeo(folder: Path) -> Callable[[Window], object]:
    """IntersectionDataset on the grid of the coarsest sensor."""
    landsat, sentinel2, spot = (RasterDataset(folder / key) for key in SENSORS)
    return (landsat & sentinel2 & spot).__getitem__


def main() -> None:
    """Print one JSON object."""
    with tempfile.TemporaryDirectory() as root:
        folder = write_scenes(root, SENSORS, scenes=3, extent=1920.0)
        dataset = CrossSensorDataset({k: NativeRasterDataset(folder / k, s) for k, s in SENSORS.items()})
        windows = list(RandomWindowSampler(dataset.area, WINDOW, WINDOWS, dataset.snap))
        ways = {"rasterio": plain(folder), "xstars": dataset.__getitem__, "torchgeo": torchgeo(folder)}
        best = dict.fromkeys(ways, float("inf"))
        for _ in range(ROUNDS):
            for name, read in ways.items():
                start = time.perf_counter()
                for window in windows:
                    read(window)
                best[name] = min(best[name], time.perf_counter() - start)
    rates = {name: round(WINDOWS / seconds, 1) for name, seconds in best.items()}
    result = {
        "benchmark": "windows per second, three sensors",
        "window_m": WINDOW,
        "rates": rates,
        "share_of_rasterio": round(rates["xstars"] / rates["rasterio"], 3),
        "times_torchgeo": round(rates["xstars"] / rates["torchgeo"], 3),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
