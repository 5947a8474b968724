"""Memory of a data loader with 4 workers over an epoch, from an archive of a million scenes per sensor.

Memory is the proportional set size of the process and its workers together: a page that n of them share
counts 1/n for each. What a worker alone has, not shared with anything, is given too. The growth is that
from the first tenth of the epoch to the last. Each part runs in a process of its own.

- read: the archive datamodule reads windows. It is the second epoch: in the first, each worker opens as many
  files as it may keep open, whose buffers are the largest part of its memory.
- arrays: every pair is looked up once, in any order, and no pixel read, so that it is quick.
- list: the same of a list of Python objects, as datasets often keep scenes. Workers are forked and share
  it, until they count references to its objects and so copy them, page by page.

A million scenes are a thousand hard links to one file, in a folder that has a thousand names; where they
lie is said by the index alone.

    python benchmarks/bench_memory.py [scenes per sensor]
"""

import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import pyarrow as pa
from torch.utils.data import DataLoader, Dataset

from processes import in_fresh_process, shares_mb
from synthetic import COARSE, FINE, scenes, write_scenes
from xstars_lightning.datamodules.archive import ArchiveDataModule
from xstars_lightning.datasets.archive.geoparquet import read_index, write_index
from xstars_lightning.datasets.archive.pairs import Pairs
from xstars_lightning.datasets.handles import open_limit

SENSORS = {"fine": FINE, "coarse": COARSE}
LINKS, WORKERS, BATCH, BATCHES, SAMPLES = 1000, 4, 16, 160, 20
GOAL = 2.0  # per cent by which the memory may grow


class Lookups(Dataset[int]):
    """Looks pairs up, and returns nothing of them.

    Args:
        look: Called with the number of a pair.
        number: Of pairs.
    """

    def __init__(self, look: Callable[[int], Any], number: int) -> None:
        self.look, self.number = look, number

    def __len__(self) -> int:
        """Number of pairs."""
        return self.number

    def __getitem__(self, pair: int) -> int:
        """Look a pair up."""
        return len(self.look(pair))


def write(folder: str, number: str) -> dict[str, float]:
    """Write the files, the indexes, and the pairs."""
    for name, sensor in SENSORS.items():
        paths = [f"{folder}/{name}{row // LINKS}/{row % LINKS}.tif" for row in range(int(number))]
        index = scenes(sensor, paths, zones=24)
        write_scenes(index, [0], sensor)
        for link in range(1, LINKS):
            os.link(paths[0], f"{folder}/{name}0/{link}.tif")
        for again in range(1, -(-len(paths) // LINKS)):
            os.symlink(f"{folder}/{name}0", f"{folder}/{name}{again}")
        write_index(index, f"{folder}/{name}.parquet")
    module(folder).prepare_data()
    return {}


def module(folder: str) -> ArchiveDataModule:
    """The datamodule."""
    return ArchiveDataModule(
        {name: f"{folder}/{name}.parquet" for name in SENSORS},
        dict(SENSORS),
        window=480,
        batch_size=BATCH,
        num_workers=WORKERS,
        windows_per_epoch=BATCH * BATCHES,
        pairs=f"{folder}/pairs.parquet",
    )


def read(folder: str) -> dict[str, Any]:
    """Memory while windows are read."""
    warnings.filterwarnings("ignore")  # of pixels made up, and of few processors
    data = module(folder)
    data.setup("fit")
    loader = data.train_dataloader()
    start = time.perf_counter()
    for _ in loader:
        pass
    rate = BATCH * BATCHES / (time.perf_counter() - start)
    return watched(loader, BATCHES) | {"open_files": open_limit(), "windows_per_s": round(rate, 1)}


def look(folder: str, way: str) -> dict[str, Any]:
    """Memory while pairs are looked up."""
    warnings.filterwarnings("ignore")
    pairs, index = Pairs.read(f"{folder}/pairs.parquet"), read_index(f"{folder}/fine.parquet")

    def found(pair: int) -> tuple[Any, ...]:
        row = pairs.rows[pair, 0]
        return index.path[row].as_py(), pairs.bounds[pair], index.transform[row]

    if way == "list":
        columns = index.path.take(pa.array(pairs.rows[:, 0])), pairs.bounds, index.transform[pairs.rows[:, 0]]
        objects = list(zip(*(column.tolist() for column in columns), strict=True))
        del pairs, index
    lookups = (
        Lookups(lambda pair: list(objects[pair]), len(objects))
        if way == "list"
        else Lookups(found, len(pairs))
    )
    size = max(len(lookups) // 1000, 1)
    loader = DataLoader(lookups, size, shuffle=True, num_workers=WORKERS, collate_fn=sum)
    return watched(loader, len(loader))


def watched(loader: Iterable[Any], batches: int) -> dict[str, Any]:
    """Memory over an epoch."""
    whole, alone = [], []
    for number, _ in enumerate(loader, 1):
        if number == 1 or number % (batches // SAMPLES) == 0:
            workers = [shares_mb(worker.pid) for worker in multiprocessing.active_children()]
            if len(workers) == WORKERS:  # they end with the epoch where they do not persist
                whole.append(shares_mb("self")[0] + sum(shared for shared, _ in workers))
                alone.append(sum(private for _, private in workers) / WORKERS)
    return {"whole": of(whole), "per_worker_alone": of(alone)}


def of(sizes: Sequence[float]) -> dict[str, float]:
    """After the first batch; mean of the first tenth and of the last; and the growth from tenth to tenth."""
    begin, *sizes = sizes
    tenth = len(sizes) // 10
    first, last = statistics.mean(sizes[:tenth]), statistics.mean(sizes[-tenth:])
    values = {
        "begin_mb": begin,
        "first_mb": first,
        "last_mb": last,
        "growth_mb": last - first,
        "growth_percent": last / first * 100 - 100,
    }
    return {name: round(value, 2) for name, value in values.items()}


PARTS: dict[str, Callable[..., dict[str, Any]]] = {"write": write, "read": read, "look": look}


def main(number: int) -> None:
    """Print one JSON object."""
    with tempfile.TemporaryDirectory() as folder:
        call = partial(in_fresh_process, __file__)
        call("write", folder, str(number))
        memory = {"read": call("read", folder)}
        memory |= {way: call("look", folder, way) for way in ("arrays", "list")}
    growth = {way: memory[way]["whole"]["growth_percent"] for way in ("read", "arrays")}
    result = {
        "benchmark": f"memory of {WORKERS} workers over an epoch, {number} scenes per sensor",
        "windows_read_per_epoch": BATCH * BATCHES,
        "parts": memory,
        "goals": {
            f"{way}_growth_percent": {"measured": value, "below": GOAL, "met": value < GOAL}
            for way, value in growth.items()
        },
        "load": os.getloadavg()[0],
    }
    print(json.dumps(result))


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in PARTS:
        print(json.dumps(PARTS[sys.argv[1]](*sys.argv[2:])))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
