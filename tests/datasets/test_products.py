"""Folders with a file per band are read as one raster.

Bands of the fixtures are ramps (see conftest), which bilinear interpolation must continue exactly.
"""

import shutil

import numpy as np
import pytest
from pyproj import CRS

from xstars_lightning.datasets import CrossSensorDataset, NativeRasterDataset
from xstars_lightning.datasets.files import find_rasters
from xstars_lightning.datasets.raster_file import inspect_raster
from xstars_lightning.sensors import Sensor, get_sensor

L1C, L2A, OLI = (get_sensor(name) for name in ("sentinel2_l1c", "sentinel2_l2a", "landsat_sr"))
CODES = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12")
LEVELS = {code: 1000 * (number + 1) for number, code in enumerate(sorted(CODES))}
INNER = (slice(600_240, 600_840), slice(4_999_200, 4_999_800))  # 60 x 60 pixels, four of 60 m from the edge


def sensor_of(*bands, resolution=10.0):
    count = len(bands)
    return Sensor("some", bands, resolution, (0, 10000), (0.1,) * count, (0.1,) * count, (bands[0],) * 3)


def expected(codes, offset):
    centres = np.arange(24, 84) + 0.5
    ramp = 4 * centres + 8 * centres[:, None]
    return np.stack([LEVELS[code] + offset + ramp for code in codes])


def raw(folder, sensor, window=INNER):
    sample = NativeRasterDataset(folder, sensor).read(window, raw=True)
    return sample["raw"].numpy(), sample["valid"][0].numpy()


@pytest.mark.parametrize(("baseline", "offset"), [("0400", -1000), ("0301", 0)])
@pytest.mark.parametrize("level", ["1C", "2A"])
def test_sentinel2_bands_on_the_grid_of_10_m_with_their_offset(level, baseline, offset, write_safe):
    sensor = L1C if level == "1C" else L2A
    codes = [code for code in CODES if level == "1C" or code != "B10"]
    values, valid = raw(write_safe(level, baseline), sensor)
    assert values.shape == (len(codes), 60, 60)
    assert np.abs(values - expected(codes, offset)).max() <= 1
    assert (values == expected(codes, offset))[[1, 2, 3]].all()  # 10 m: not interpolated
    assert valid.all()


def test_a_product_is_one_raster(write_safe):
    folder = write_safe()
    file = inspect_raster(str(folder), L2A)
    assert (file.path, file.crs, file.width, file.height) == (str(folder), CRS("EPSG:32631"), 120, 120)
    assert file.transform[:6] == (10, 0, 600_000, 0, -10, 5_000_040)
    assert file.footprint.equals(file.box)


def test_a_subset_of_bands_in_any_order(write_safe):
    values, _ = raw(write_safe(), sensor_of("red", "green", "swir22"))
    assert np.abs(values - expected(["B04", "B03", "B12"], -1000)).max() <= 1
    coarse = NativeRasterDataset(write_safe(), sensor_of("rededge071", "swir16", resolution=20))
    assert coarse.res == (20, 20)


def test_windows_do_not_depend_on_their_place(write_safe):
    dataset = NativeRasterDataset(write_safe(), L2A)
    whole = dataset.read((slice(600_000, 601_200), slice(4_998_840, 5_000_040)), raw=True)["raw"]
    for col, row in ((0, 0), (13, 7), (50, 88)):
        x, y = 600_000 + 10 * col, 5_000_040 - 10 * row
        part = dataset.read((slice(x, x + 310), slice(y - 310, y)), raw=True)["raw"]
        assert (part == whole[:, row : row + 31, col : col + 31]).all()


def test_nothing_is_clipped_and_missing_pixels_stay_missing(write_safe):
    def change(code, resolution, pixels):
        if (code, resolution) == ("B04", 10):
            pixels[30, 30:34] = (1, 1000, 65535, 0)
        if (code, resolution) == ("B11", 20):
            pixels[30:40, 30:40] = 0
        return pixels

    dataset = NativeRasterDataset(write_safe(change=change), sensor_of("red", "swir16"))
    sample = dataset.read((slice(600_000, 601_200), slice(4_998_840, 5_000_040)), raw=True)
    values, valid = sample["raw"].numpy(), sample["valid"][0].numpy()
    assert values[0, 30, 30:33].tolist() == [-999, 0, 64535]
    assert valid[30, 30:33].all()
    assert not valid[30, 33]
    # Around the hole of 20 m pixels, those have no weight: values spread by half of one, and none falls.
    assert not valid[61:79, 61:79].any()
    assert valid.sum() >= 120 * 120 - 1 - 20 * 20
    assert values[1][valid].min() >= LEVELS["B11"] - 1000


def test_missing_band(write_safe, write_landsat):
    with pytest.raises(ValueError, match=r"S2A_MSIL2A.*\.SAFE has no band cirrus; it has coastal, blue"):
        NativeRasterDataset(write_safe(), L1C)
    with pytest.raises(ValueError, match=r"LC08_L2SP.* has no band rededge071, nir; it has coastal"):
        NativeRasterDataset(write_landsat(), sensor_of("red", "rededge071", "nir", resolution=30))


def test_incomplete_products(write_safe, write_landsat, tmp_path):
    folder = write_safe()
    next(folder.rglob("*_SCL_20m.jp2")).unlink()
    with pytest.raises(OSError, match=r"\.SAFE lacks its scene classification"):
        NativeRasterDataset(folder, L2A)
    next(folder.rglob("*_B04_10m.jp2")).write_bytes(b"cut short")
    (folder / "MTD_MSIL2A.xml").rename(folder / "MTD_MSIL1C.xml")
    with pytest.raises(OSError, match=r"\.SAFE is incomplete: .*_B04_10m\.jp2 cannot be opened"):
        NativeRasterDataset(folder, sensor_of("red"))
    (folder / "MTD_MSIL1C.xml").write_text("<cut")
    with pytest.raises(OSError, match=r"MTD_MSIL1C\.xml cannot be read"):
        NativeRasterDataset(folder, sensor_of("green"))
    landsat = write_landsat()
    next(landsat.glob("*QA_PIXEL.TIF")).unlink()
    with pytest.raises(OSError, match=r"lacks its quality band LC08.*_QA_PIXEL\.TIF"):
        NativeRasterDataset(landsat, OLI)
    (tmp_path / "S1A_IW_GRDH_1SDV_20220115T055012.SAFE").mkdir()
    with pytest.raises(OSError, match=r"S1A.*\.SAFE is no Sentinel-2 product of one tile"):
        NativeRasterDataset(tmp_path / "S1A_IW_GRDH_1SDV_20220115T055012.SAFE", OLI)


@pytest.mark.parametrize(
    ("mission", "level", "bands", "numbers"),
    [
        ("LC09", "L2SP", OLI.bands, (1, 2, 3, 4, 5, 6, 7)),
        ("LC08", "L1TP", ("blue", "cirrus"), (2, 9)),
        ("LT05", "L2SP", ("red", "nir08", "swir22"), (3, 4, 7)),
        ("LE07", "L1TP", ("blue", "green"), (1, 2)),
    ],
)
def test_landsat_bands(mission, level, bands, numbers, write_landsat):
    sensor = sensor_of(*bands, resolution=30)
    values, valid = raw(write_landsat(mission, level, numbers), sensor)
    centres = (np.arange(8, 28) + 0.5) * 3
    ramp = 4 * centres + 8 * centres[:, None]
    truth = np.stack([1000 * (number + 1) + ramp for number in numbers]).astype(np.uint16)
    assert values.dtype == np.uint16
    assert (values == truth).all()
    assert valid.all()


def test_panchromatic_grid(write_landsat):
    dataset = NativeRasterDataset(
        write_landsat(level="L1TP", numbers=(4, 8)), sensor_of("pan", "red", resolution=15)
    )
    assert dataset.res == (15, 15)
    assert dataset[INNER]["image"].shape == (2, 40, 40)


def test_folders_of_products_and_files(write_safe, write_landsat, write_raster, tmp_path):
    products = sorted(str(folder) for folder in (write_safe(), write_safe("1C"), write_landsat()))
    plain = str(write_raster("more/a.tif", np.ones((1, 4, 4), np.uint8)))
    assert find_rasters(tmp_path) == sorted([*products, plain])
    assert find_rasters(f"{tmp_path}/S2*.SAFE") == products[1:]
    assert find_rasters(products[0]) == products[:1]
    shutil.copytree(products[0], tmp_path / "no_product")
    assert len(find_rasters(tmp_path)) == 4 + 11


def test_products_of_two_sensors_join(write_safe, write_landsat):
    datasets = {
        "sentinel2": NativeRasterDataset(write_safe(), L2A),
        "landsat": NativeRasterDataset(write_landsat(), OLI),
    }
    sample = CrossSensorDataset(datasets)[INNER]
    assert sample["image_sentinel2"].shape == (12, 60, 60)
    assert sample["image_landsat"].shape == (7, 20, 20)
