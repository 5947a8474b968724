"""Handles are kept, but not too many of them."""

import os
import subprocess
import sys

import numpy as np
import pytest
import rasterio

from xstars_lightning.datasets.handles import _opened, open_limit, open_raster
from xstars_lightning.sensors import get_sensor

RGB = get_sensor("sentinel2_rgb")
OPEN_ALL = """
import os, sys
from xstars_lightning.datasets.handles import open_raster
from xstars_lightning.sensors import get_sensor
for path in sys.argv[1:]:
    open_raster(path, get_sensor("sentinel2_rgb")).source.read()
files = [os.path.realpath(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")]
print(sum(file.endswith(".tif") for file in files))
"""


@pytest.fixture
def paths(write_raster):
    return [str(write_raster(f"{n}.tif", np.full((3, 8, 8), n, dtype=np.uint8))) for n in range(7)]


def test_a_handle_is_opened_once(paths):
    _opened.cache_clear()
    assert open_raster(paths[0], RGB) is open_raster(paths[0], RGB)
    assert _opened.cache_info().misses == 1


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc")
def test_no_more_stay_open_than_the_environment_says(paths):
    environment = os.environ | {"XSTARS_OPEN_FILES": "3"}
    command = [sys.executable, "-c", OPEN_ALL, *paths]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "3"


@pytest.mark.parametrize("wrong", ["0", "-1", "many", ""])
def test_a_number_that_is_none(wrong, monkeypatch):
    monkeypatch.setenv("XSTARS_OPEN_FILES", wrong)
    with pytest.raises(ValueError, match=f"XSTARS_OPEN_FILES='{wrong}': give the number"):
        open_limit()


def test_side_files_are_found(write_raster):
    """Though folders are not listed: an external mask beside the raster."""
    path = write_raster("masked.tif", np.ones((3, 8, 8), dtype=np.uint8))
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(path, "r+") as file:
        file.write_mask(np.eye(8, dtype=bool))
    assert path.with_suffix(".tif.msk").exists()
    assert open_raster(str(path), RGB).masked
