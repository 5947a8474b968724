"""What happens to files that cannot be used."""

import logging

import numpy as np
import pytest

from xstars_lightning.datasets.archive.scan import scan
from xstars_lightning.sensors import get_sensor

RGB = get_sensor("sentinel2_rgb")
PIXELS = np.random.default_rng(0).integers(1, 255, (3, 32, 32), dtype=np.uint8)


@pytest.fixture
def folder(write_raster, tmp_path):
    """One good file, one with a band too few, one that is no raster."""
    write_raster("good.tif", PIXELS, (500_000, 5_000_000))
    write_raster("two_bands.tif", PIXELS[:2], (500_000, 5_000_000))
    (tmp_path / "text.tif").write_text("no raster")
    return tmp_path


def test_all_broken_files_are_named_at_once(folder):
    with pytest.raises(ValueError, match=r"2 of 3 files cannot be used") as error:
        scan(folder, RGB)
    assert "text.tif" in str(error.value)
    assert "two_bands.tif" in str(error.value)


def test_a_single_broken_file_gives_its_own_error(folder):
    (folder / "two_bands.tif").unlink()
    with pytest.raises(OSError, match=r"text\.tif"):
        scan(folder, RGB)


def test_broken_files_are_left_out_only_if_asked_for_and_said(folder, caplog):
    with caplog.at_level(logging.WARNING):
        found = scan(folder, RGB, skip_broken=True)
    assert found.path.to_pylist() == [str(folder / "good.tif")]
    assert "2 of 3 files are left out" in caplog.text
    assert "two_bands.tif" in caplog.text


def test_nothing_but_broken_files_is_an_error(folder):
    (folder / "good.tif").unlink()
    with pytest.raises(ValueError, match="None of 2 files"):
        scan(folder, RGB, skip_broken=True)
