"""Products in folders, with the layout and names of the agencies."""

import numpy as np
import pytest
import rasterio
from affine import Affine

RESOLUTIONS = dict.fromkeys(("B02", "B03", "B04", "B08"), 10) | dict.fromkeys(("B01", "B09", "B10"), 60)
RESOLUTIONS |= dict.fromkeys(("B05", "B06", "B07", "B8A", "B11", "B12"), 20)
UPPER_LEFT = (600_000, 5_000_040)
SIDE = 1200  # metres


def ramp(number, resolution):
    """Numbers that rise by 4 per 10 m to the east and 8 to the south, from another level in each band."""
    centres = (np.arange(SIDE // resolution) + 0.5) * resolution / 10
    return (1000 * (number + 1) + 4 * centres + 8 * centres[:, None]).astype(np.uint16)


def write_band(path, pixels, resolution, driver):
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = {"count": 1, "height": pixels.shape[0], "width": pixels.shape[1], "dtype": pixels.dtype.name}
    transform = Affine(resolution, 0, UPPER_LEFT[0], 0, -resolution, UPPER_LEFT[1])
    lossless = {"QUALITY": 100, "REVERSIBLE": "YES"} if driver.startswith("JP2") else {}
    where = {"crs": "EPSG:32631", "transform": transform}
    with rasterio.open(path, "w", driver=driver, **shape, **where, **lossless) as file:
        file.write(pixels, 1)


@pytest.fixture
def write_safe(tmp_path):
    """Write a Sentinel-2 product of 1.2 x 1.2 km and return its folder.

    Bands are JPEG 2000 where GDAL can write it; else GeoTIFFs under the same names, which it knows by
    their content.
    """
    with rasterio.Env() as env:
        driver = "JP2OpenJPEG" if "JP2OpenJPEG" in env.drivers() else "GTiff"

    def write(level="2A", baseline="0400", change=None, classes=None):
        name = f"S2A_MSIL{level}_20220115T105401_N{baseline}_R051_T31TFJ_20220115T125521.SAFE"
        folder = tmp_path / name
        images = folder / "GRANULE" / f"L{level}_T31TFJ_A034301_20220115T105356" / "IMG_DATA"
        stem = "T31TFJ_20220115T105401"
        for number, (code, finest) in enumerate(sorted(RESOLUTIONS.items())):
            for resolution in delivered(code, finest, level, baseline):
                name = f"R{resolution}m/{stem}_{code}_{resolution}m" if level == "2A" else f"{stem}_{code}"
                pixels = ramp(number, resolution)
                pixels = pixels if change is None else change(code, resolution, pixels)
                write_band(images / f"{name}.jp2", pixels, resolution, driver)
        for other in ("AOT", "TCI", "WVP") if level == "2A" else ("TCI",):
            name = f"R10m/{stem}_{other}_10m" if level == "2A" else f"{stem}_{other}"
            write_band(images / f"{name}.jp2", ramp(0, 10), 10, driver)
        if level == "2A":
            scl = np.full((60, 60), 4, dtype=np.uint8) if classes is None else classes
            write_band(images / f"R20m/{stem}_SCL_20m.jp2", scl, 20, driver)
        (folder / f"MTD_MSIL{level}.xml").write_text(metadata(level, baseline))
        return folder

    return write


def delivered(code, finest, level, baseline):
    """Resolutions at which a product holds a band."""
    if level == "1C":
        return [finest]
    if code in ("B08", "B10"):
        return [10] if code == "B08" else []
    if code == "B01" and baseline >= "0400":
        return [20, 60]
    return [resolution for resolution in (10, 20, 60) if resolution >= finest]


def metadata(level, baseline):
    tag, group = {
        "1C": ("RADIO_ADD_OFFSET", "Radiometric_Offset_List"),
        "2A": ("BOA_ADD_OFFSET", "BOA_ADD_OFFSET_VALUES_LIST"),
    }[level]
    offsets = "".join(f'<{tag} band_id="{number}">-1000</{tag}>' for number in range(13))
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><n1:Level-{level}_User_Product '
        f'xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/User_Product_Level-{level}.xsd"><n1:General_Info>'
        f"<Product_Image_Characteristics>{f'<{group}>{offsets}</{group}>' if baseline >= '0400' else ''}"
        f"</Product_Image_Characteristics></n1:General_Info></n1:Level-{level}_User_Product>"
    )


@pytest.fixture
def write_landsat(tmp_path):
    """Write a Landsat product of 1.2 x 1.2 km and return its folder."""

    def write(mission="LC08", level="L2SP", numbers=(1, 2, 3, 4, 5, 6, 7), quality=None):
        name = f"{mission}_{level}_198030_20220115_20220123_02_T1"
        folder = tmp_path / name
        for number in numbers:
            resolution = 15 if number == 8 else 30
            band = f"{name}_{'SR_' if level == 'L2SP' else ''}B{number}.TIF"
            write_band(folder / band, ramp(number, resolution), resolution, "GTiff")
        for other in ("QA_RADSAT", "ST_B10", "SR_QA_AEROSOL") if level == "L2SP" else ("QA_RADSAT",):
            write_band(folder / f"{name}_{other}.TIF", ramp(0, 30), 30, "GTiff")
        bits = np.full((40, 40), 21824, dtype=np.uint16) if quality is None else quality  # clear
        write_band(folder / f"{name}_QA_PIXEL.TIF", bits, 30, "GTiff")
        (folder / f"{name}_MTL.txt").write_text("GROUP = LANDSAT_METADATA_FILE\n")
        return folder

    return write
