"""Simulated scenes: one landscape seen by several sensors, written as ordinary GeoTIFFs.

The embedded default data: nothing is downloaded, and everything is read by the same code as real files.
"""

import json
import os
import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from uuid import uuid4
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress

from xstars_lightning.datasets.landscape import make_landscape
from xstars_lightning.datasets.simulation.files import GRID, place, write_cover, write_image
from xstars_lightning.datasets.simulation.materials import wavelengths
from xstars_lightning.datasets.simulation.radiometry import (
    encode,
    histogram,
    pixel_type,
    transfer_tables,
)
from xstars_lightning.datasets.simulation.render import render
from xstars_lightning.sensors import Sensor

__all__ = ["LAND_COVER", "scenes_path", "write_scenes"]

LAND_COVER = "land_cover"  # folder of the labels, beside those of the sensors
_FORMAT = 1  # raise it whenever the same parameters give other pixels
_FINEST = 1.5  # metres per sample of the landscape, unless a sensor is finer
_SMALLEST = 240.0  # metres
_WORKERS = 4  # scenes at once; each needs about 0.6 GB


@dataclass(frozen=True)
class _Recipe:
    """The parameters of a set of scenes."""

    sensors: Mapping[str, Sensor]
    scenes: int
    extent: float
    seed: int

    def __post_init__(self) -> None:
        if not self.sensors:
            raise ValueError("No sensors given: name at least one, for example {'spot': 'spot_rgb'}.")
        if LAND_COVER in self.sensors:
            raise ValueError(f"A sensor cannot be called {LAND_COVER!r}: that folder holds the labels.")
        if self.scenes < 1 or self.seed < 0:
            raise ValueError(
                f"scenes must be at least 1 and seed at least 0, got {self.scenes} and {self.seed}."
            )
        if self.extent < _SMALLEST or self.extent % GRID:
            raise ValueError(
                f"extent must be a multiple of {GRID} m, at least {_SMALLEST:g} m, got {self.extent}."
            )
        for sensor in self.sensors.values():
            pixel_type(sensor)
            wavelengths(sensor.bands)

    def __str__(self) -> str:
        sensors = {key: sensor.to_dict() for key, sensor in self.sensors.items()}
        values = {"format": _FORMAT, "scenes": self.scenes, "extent": float(self.extent), "seed": self.seed}
        return json.dumps({**values, "sensors": sensors}, sort_keys=True, indent=2)

    @property
    def folder(self) -> str:
        return f"simulated-{sha256(str(self).encode()).hexdigest()[:12]}"

    @property
    def resolution(self) -> float:
        return min(_FINEST, *(sensor.resolution for sensor in self.sensors.values()))

    def complete(self, folder: Path) -> bool:
        names = [f"scene_{scene:02d}.tif" for scene in range(self.scenes)]
        return all((folder / key / name).is_file() for key in (*self.sensors, LAND_COVER) for name in names)


def _look(recipe: _Recipe, scene: int, folder: Path, progress: Progress) -> dict[str, NDArray[np.int64]]:
    """Make one landscape, write its labels and what each sensor measures; count the measured levels."""
    side = int(recipe.extent / recipe.resolution + 1e-6)
    land = make_landscape((side, side), recipe.resolution, np.random.default_rng([recipe.seed, scene]))
    transform = place(scene, recipe.extent, recipe.resolution)
    write_cover(folder / LAND_COVER / f"scene_{scene:02d}.tif", land.cover, transform)
    counts = {}
    for key, sensor in recipe.sensors.items():
        fixed = np.random.default_rng([recipe.seed, scene, 1])
        dated = np.random.default_rng([recipe.seed, scene, crc32(key.encode())])
        levels = encode(render(land, sensor, fixed, dated))
        np.save(folder / key / f"scene_{scene:02d}.npy", levels)
        counts[key] = histogram(levels)
        progress.advance(progress.task_ids[0])
    return counts


def _develop(
    recipe: _Recipe, scene: int, folder: Path, tables: Mapping[str, NDArray[np.uint16 | np.uint8]]
) -> None:
    """Turn the levels of one scene into the digital numbers of its files."""
    for key, sensor in recipe.sensors.items():
        raw = folder / key / f"scene_{scene:02d}.npy"
        levels = np.load(raw)
        pixels = np.stack([table[band] for table, band in zip(tables[key], levels, strict=True)])
        write_image(raw.with_suffix(".tif"), pixels, sensor, place(scene, recipe.extent, sensor.resolution))
        raw.unlink()


def _write(recipe: _Recipe, folder: Path) -> None:
    for key in (*recipe.sensors, LAND_COVER):
        (folder / key).mkdir(parents=True)
    scenes = range(recipe.scenes)
    # Threads: numpy, scipy and GDAL work outside the interpreter lock, and no process is forked under
    # a notebook or a data loader.
    with Progress(transient=True) as progress, ThreadPoolExecutor(min(os.cpu_count() or 1, _WORKERS)) as pool:
        progress.add_task("Simulating scenes", total=recipe.scenes * len(recipe.sensors))
        counts = list(pool.map(lambda scene: _look(recipe, scene, folder, progress), scenes))
        tables = {
            k: transfer_tables(np.sum([c[k] for c in counts], axis=0), s) for k, s in recipe.sensors.items()
        }
        list(pool.map(lambda scene: _develop(recipe, scene, folder, tables), scenes))
    (folder / "parameters.json").write_text(str(recipe))


def scenes_path(
    root: Path | str, sensors: Mapping[str, Sensor], scenes: int = 6, extent: float = 3840.0, seed: int = 0
) -> Path:
    """The folder that `write_scenes` fills for the same arguments; nothing is written."""
    return Path(root) / _Recipe(sensors, scenes, extent, seed).folder


def write_scenes(
    root: Path | str, sensors: Mapping[str, Sensor], scenes: int = 6, extent: float = 3840.0, seed: int = 0
) -> Path:
    """Write simulated scenes, unless the same ones are there already.

    ``<folder>/<key>/scene_00.tif`` holds what each sensor sees, ``<folder>/land_cover/scene_00.tif`` the
    classes on the finest grid. Over the whole set every band has about the mean and standard deviation
    that its sensor declares. The same arguments give the same pixels.

    Args:
        root: Folder for this and other sets; made if missing.
        sensors: Key, which names the folder, -> sensor. The key also fixes the dates, so that one sensor
            under two keys is two acquisitions.
        scenes: Number of scenes, each another landscape.
        extent: Side of a scene in metres, a multiple of 30.
        seed: Another seed gives other landscapes.

    Returns:
        The folder of the set.

    Raises:
        ValueError: If an argument is out of its domain, or a sensor cannot be simulated.
    """
    recipe = _Recipe(sensors, scenes, extent, seed)
    final = Path(root) / recipe.folder
    if recipe.complete(final):
        return final
    # Written aside and renamed: no reader ever meets half a set, whoever else writes it now.
    draft = final.with_name(f".{final.name}-{uuid4().hex[:8]}")
    try:
        _write(recipe, draft)
        if final.exists() and not recipe.complete(final):
            shutil.rmtree(final)
        with suppress(OSError):  # another process was faster
            draft.rename(final)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    if not recipe.complete(final):
        raise OSError(
            f"The simulated scenes could not be moved to {final}; is another program using that folder?"
        )
    return final
