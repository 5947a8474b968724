"""Joining a million scenes with a million others, opening such an index, and drawing windows.

The scenes lie in 24 UTM zones and overlap by chance: 1536 m and 1600 m on a grid of 2 km, displaced by up
to 700 m; one in fifty of the coarse sensor's has its coordinates in the next zone, and is warped. Every
part runs in a process of its own, whose memory is that at its peak, imports included; these are given too.

- write: writes an index as a GeoParquet file; the peak is that of making up the scenes.
- open: reads it, as every run does first; the middle one of several times.
- join: reads both indexes and joins them by space and date; only the joining is timed.
- draw: a million windows of 480 m of these pairs, all on upright boxes or what is left of them.
- rotated: joins a tenth of the scenes, the fine ones rotated by 12 degrees, and draws from these pairs, whose
  outlines have up to eight corners.
- peers: geopandas' overlay, and TorchGeo's IntersectionDataset, which calls it, on 10,000 scenes of one zone
  and one CRS, for they know no other; and xstars on the same. Per scene, for a million would take them long.

    python benchmarks/bench_join.py [scenes per sensor]
"""

import json
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import geopandas as gpd
from torchgeo.datasets import IntersectionDataset

from processes import in_fresh_process, resident_mb
from synthetic import COARSE, FINE, Indexed, scenes
from xstars_lightning.datasets.archive.geoparquet import read_index, write_index
from xstars_lightning.datasets.archive.joining import join
from xstars_lightning.datasets.archive.pairs import Pairs
from xstars_lightning.samplers import PairWindowSampler
from xstars_lightning.sensors import Sensor

SENSORS = {"fine": FINE, "coarse": COARSE}
ARCHIVES: dict[str, tuple[Sensor, int, dict[str, float]]] = {
    "fine": (FINE, 1, {}),
    "coarse": (COARSE, 1, {"foreign": 50}),
    "rotated": (FINE, 10, {"angle": 12}),
    "fewer": (COARSE, 10, {}),
}
GOALS = {"join_s": 60, "join_peak_mb": 2000, "open_s": 2, "draw_us": 10, "rotated_draw_us": 10}
PEER = 10_000


def timed(action: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds that something takes, and what it returns."""
    start = time.perf_counter()
    value = action()
    return time.perf_counter() - start, value


def write(folder: str, number: str) -> dict[str, float]:
    """Write the indexes; the first one is timed."""
    seconds = []
    for name, (sensor, part, options) in ARCHIVES.items():
        paths = [f"{folder}/{name}/{row:07}.tif" for row in range(int(number) // part)]
        index = scenes(sensor, paths, zones=24, shift=700, **options)
        seconds.append(timed(partial(write_index, index, f"{folder}/{name}.parquet"))[0])
    return {"s": seconds[0]}


def open_index(folder: str, name: str) -> dict[str, float]:
    """Read an index."""
    return {
        "s": statistics.median(timed(lambda: read_index(f"{folder}/{name}.parquet"))[0] for _ in range(5))
    }


def join_indexes(folder: str, first: str, second: str) -> dict[str, float]:
    """Join two indexes."""
    indexes = {name: read_index(f"{folder}/{name}.parquet") for name in (first, second)}
    seconds, pairs = timed(lambda: join(indexes))
    peak = resident_mb()[1]
    pairs.write(f"{folder}/{first}-{second}.parquet")
    return {"s": seconds, "peak_mb": peak, "pairs": len(pairs), "km2": pairs.km2}


def draw(folder: str, pairs: str) -> dict[str, float]:
    """Draw windows."""
    ready, sampler = timed(lambda: PairWindowSampler(Pairs.read(f"{folder}/{pairs}.parquet"), 480, 1_000_000))
    seconds = [timed(partial(sampler.draw, epoch, 200_000))[0] for epoch in range(6)][1:]
    us = [second / 200_000 * 1e6 for second in seconds]
    return {"us_min": min(us), "us": statistics.median(us), "us_max": max(us), "ready_s": ready}


def rotated(folder: str) -> dict[str, float]:
    """Join and draw rotated scenes."""
    joined = join_indexes(folder, "rotated", "fewer")
    return {"join_s": joined["s"], "pairs": joined["pairs"]} | draw(folder, "rotated-fewer")


def peers(folder: str) -> dict[str, float]:
    """Seconds per million scenes, from 10,000."""
    warnings.filterwarnings("ignore")
    indexes = {
        name: scenes(SENSORS[name], [f"{name}/{row:07}.tif" for row in range(PEER)], zones=1, shift=700)
        for name in SENSORS
    }
    ways = {
        "overlay": lambda: gpd.overlay(*(Indexed(indexes[name], SENSORS[name]).index for name in SENSORS)),
        "torchgeo": lambda: IntersectionDataset(*(Indexed(indexes[name], SENSORS[name]) for name in SENSORS)),
        "xstars": lambda: join(indexes, match="all"),
    }
    seconds = {name: [timed(way)[0] for _ in range(6)][1:] for name, way in ways.items()}
    return {name: statistics.median(values) * 1e6 / PEER for name, values in seconds.items()}


PARTS: dict[str, Callable[..., dict[str, float]]] = {
    "write": write,
    "open": open_index,
    "join": join_indexes,
    "draw": draw,
    "rotated": rotated,
    "peers_s_per_million": peers,
}


def run_part(part: str, *arguments: str) -> dict[str, float]:
    """One part, with the memory of its process."""
    before = resident_mb()[0]
    result = PARTS[part](*arguments)
    peak = result.pop("peak_mb", resident_mb()[1])
    result |= {"peak_mb": peak, "imports_mb": before, "growth_mb": peak - before}
    return {name: float(f"{value:.6g}") for name, value in result.items()}


def main(number: int) -> None:
    """Print one JSON object."""
    calls = {
        "write": (str(number),),
        "open": ("fine",),
        "join": ("fine", "coarse"),
        "draw": ("fine-coarse",),
        "rotated": (),
        "peers_s_per_million": (),
    }
    with tempfile.TemporaryDirectory() as folder:
        parts = {part: in_fresh_process(__file__, part, folder, *more) for part, more in calls.items()}
    measured = {
        "join_s": parts["join"]["s"],
        "join_peak_mb": parts["join"]["peak_mb"],
        "open_s": parts["open"]["s"],
        "draw_us": parts["draw"]["us"],
        "rotated_draw_us": parts["rotated"]["us"],
    }
    result = {
        "benchmark": f"join of {number} with {number} scenes in 24 UTM zones",
        "parts": parts,
        "goals": {
            name: {"measured": value, "below": GOALS[name], "met": value < GOALS[name]}
            for name, value in measured.items()
        },
        "load": os.getloadavg()[0],
        "cpus": len(os.sched_getaffinity(0)),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in PARTS:
        print(json.dumps(run_part(*sys.argv[1:])))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
