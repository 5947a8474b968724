"""What happens to files that cannot be used."""

import logging
import os
import re
from datetime import datetime

import numpy as np
import pytest
import rasterio

from xstars_lightning.datasets.archive.dates import DateRule
from xstars_lightning.datasets.archive.geoparquet import read_index
from xstars_lightning.datasets.archive.scan import scan
from xstars_lightning.sensors import get_sensor
from xstars_lightning.tools.commands import run_tool

RGB = get_sensor("sentinel2_rgb")
DATES = DateRule(r"_(\d{8})", "%Y%m%d")
GOOD = ("a_good_20230612.tif", "f_good_20230613.tif")
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


@pytest.fixture
def mistaken(write_raster, tmp_path):
    """Two good files and one mistake of each kind that is not a matter of opening a file."""
    place = (500_000, 5_000_000)
    write_raster("a_good_20230612.tif", PIXELS, place)
    with rasterio.open(write_raster("b_order_20230612.tif", PIXELS, place), "r+") as file:
        file.descriptions = ("Blue", "Green", "Red")
    write_raster("c_nowhere_20230612.tif", PIXELS, (5_000_000, 500_000))
    write_raster("d_pixels_20230612.tif", PIXELS, place, res=0.5)
    write_raster("e_undated.tif", PIXELS, place)
    write_raster("f_good_20230613.tif", PIXELS, place)
    return tmp_path


def test_mistakes_of_every_kind_are_named_together(mistaken):
    with pytest.raises(ValueError, match="4 of 6 files cannot be used") as error:
        scan(mistaken, RGB, dates=DATES)
    for words in ("b_order_20230612.tif has its bands", "c_nowhere_20230612.tif has a footprint outside"):
        assert words in str(error.value)
    for words in ("d_pixels_20230612.tif has pixels of 0.5 m", "No date in"):
        assert words in str(error.value)


def test_files_with_mistakes_are_left_out_if_asked_for(mistaken, caplog):
    found = scan(mistaken, RGB, dates=DATES, skip_broken=True)
    assert found.path.to_pylist() == [str(mistaken / name) for name in GOOD]
    assert found.time[:, 0].tolist() == [datetime(2023, 6, 12), datetime(2023, 6, 13)]
    assert "4 of 6 files are left out" in caplog.text


def test_known_files_without_a_date_are_left_out_if_asked_for(mistaken):
    for name in ("b_order_20230612.tif", "c_nowhere_20230612.tif", "d_pixels_20230612.tif"):
        (mistaken / name).unlink()
    known = scan(mistaken, RGB)
    assert len(known) == 3
    with pytest.raises(ValueError, match=r"No date in .*e_undated\.tif"):
        scan(mistaken, RGB, dates=DATES, known=known)
    found = scan(mistaken, RGB, dates=DATES, known=known, skip_broken=True)
    assert found.path.to_pylist() == [str(mistaken / name) for name in GOOD]


def test_a_file_that_is_left_out_is_no_example_of_the_order_of_bands(write_raster, tmp_path):
    orders = {"a": ("x", "y", "z"), "b": ("w", "x", "y"), "c": ("w", "v", "u")}
    for name, order in orders.items():
        with rasterio.open(write_raster(f"{name}.tif", PIXELS, (500_000, 5_000_000)), "r+") as file:
            file.descriptions = order
    found = scan(tmp_path, RGB, skip_broken=True)
    assert [path[-5:] for path in found.path.to_pylist()] == ["a.tif", "c.tif"]


def test_the_switch_that_the_error_names_is_one_of_the_command(mistaken, tmp_path, capsys):
    options = [str(mistaken), "--sensor", "sentinel2_rgb", "--out", str(tmp_path / "i.parquet")]
    with pytest.raises(SystemExit) as ended:
        run_tool("index", options)
    assert ended.value.code == 2
    (switch,) = re.findall(r"`xstars index \.\.\. ([^`]+)`", capsys.readouterr().err)
    run_tool("index", [*options, *switch.split()])
    names = [os.path.basename(path) for path in read_index(tmp_path / "i.parquet").path.to_pylist()]
    assert names == ["a_good_20230612.tif", "e_undated.tif", "f_good_20230613.tif"]


def test_a_crs_without_a_place_on_earth_is_the_mistake_of_its_file(write_raster, folder):
    (folder / "two_bands.tif").unlink()
    (folder / "text.tif").unlink()
    write_raster("local.tif", PIXELS, (500, 500), crs='LOCAL_CS["here",UNIT["metre",1]]')
    with pytest.raises(ValueError, match=r"local\.tif: Nothing leads from the CRS 'here'.*gdal_edit"):
        scan(folder, RGB)
    assert len(scan(folder, RGB, skip_broken=True)) == 1
