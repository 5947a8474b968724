"""Fixtures for tests of more than one folder."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from affine import Affine
from PIL import Image

COLOURS = {"Field": (200, 170, 40), "Lake": (20, 40, 160), "Wood": (20, 110, 30)}


@pytest.fixture
def class_folders(tmp_path):
    """Three class folders of ten 32 x 32 JPEGs, every class in a colour of its own, and a folder of lists."""
    root = tmp_path / "images"
    generator = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        (root / name).mkdir(parents=True)
        for number in range(10):
            noise = generator.integers(-15, 16, (32, 32, 3))
            pixels = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / name / f"{name}_{number}.jpg", quality=95)
    (root / "splits").mkdir()
    (root / "splits" / "notes.txt").write_text("no class")
    return root


@pytest.fixture
def real_data():
    """The folder of real imagery that XSTARS_DATA names."""
    if not (folder := os.environ.get("XSTARS_DATA")):
        pytest.skip("needs real imagery: XSTARS_DATA is not set")
    return Path(folder)


@pytest.fixture
def write_raster(tmp_path):
    """Write a GeoTIFF below ``tmp_path`` and return its path."""

    def write(name, pixels, origin=(0, 0), res=10.0, crs="EPSG:32631", transform=None, **profile):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        bands, height, width = pixels.shape
        shape = {"count": bands, "height": height, "width": width, "dtype": pixels.dtype.name}
        transform = transform or Affine(res, 0, origin[0], 0, -res, origin[1])
        with rasterio.open(
            path, "w", driver="GTiff", crs=crs, transform=transform, **shape, **profile
        ) as file:
            file.write(pixels)
        return path

    return write


@pytest.fixture
def two_sensors(write_raster):
    """Folders ``high`` (4 m, 3 x 3 km, a dark corner of nodata) and ``low`` (10 m) over the same ground."""
    generator = np.random.default_rng(0)
    high = generator.integers(1, 255, (3, 750, 750), dtype=np.uint8)
    high[:, :200, :200] = 0
    low = generator.integers(1, 255, (3, 320, 320), dtype=np.uint8)
    write_raster("high/a.tif", high, (600_000, 5_000_000), res=4.0, nodata=0)
    return write_raster("low/a.tif", low, (599_900, 5_000_100)).parents[1]


@pytest.fixture
def processes(tmp_path):
    """Runs a script as two processes, script RANK PORT FILE ARGUMENTS, and returns what they saved."""

    def run(script, *arguments):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        files = [tmp_path / f"{rank}.pt" for rank in range(2)]
        commands = [
            [sys.executable, *map(str, (script, rank, port, file, *arguments))]
            for rank, file in enumerate(files)
        ]
        started = [subprocess.Popen(command) for command in commands]
        assert [process.wait(timeout=600) for process in started] == [0, 0]
        return [torch.load(file) for file in files]

    return run
