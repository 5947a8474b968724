"""Pixels hold the coordinates of the ground they show, so that geolocation errors are measured."""

import numpy as np
import pytest
import shapely
from affine import Affine
from pyproj import CRS, Transformer

from xstars_lightning.datasets import CrossSensorDataset, NativeRasterDataset
from xstars_lightning.datasets.grid import Grid
from xstars_lightning.datasets.raster_file import inspect_raster
from xstars_lightning.datasets.reading import read_onto
from xstars_lightning.sensors import Sensor

REFERENCE = "EPSG:32631"
CORNER = (655_000.0, 4_990_000.0)  # near the border of zones 31 and 32, 45 degrees north
TENTH_OF_A_FINE_PIXEL = 0.15


def ground_sensor(resolution):
    """Values are metres east and north of CORNER in the reference CRS."""
    return Sensor(
        "ground", ("red", "green"), resolution, (0, 1000), (0.5, 0.5), (0.3, 0.3), ("red", "green", "red")
    )


def ground_pixels(transform, crs, width, height):
    columns, rows = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    x, y = transform @ np.array([columns.ravel(), rows.ravel()])
    x, y = Transformer.from_crs(crs, REFERENCE, always_xy=True).transform(x, y)
    return np.stack([x - CORNER[0], y - CORNER[1]]).reshape(2, height, width)


def north_up(res, crs, shift=0.0):
    x, y = Transformer.from_crs(REFERENCE, crs, always_xy=True).transform(*CORNER)
    return Affine(res, 0, x - 30 * res + shift, 0, -res, y + 130 * res + shift)


def turned(res, angle, shear=0.0):
    place = Affine.translation(CORNER[0], CORNER[1] + 1300) @ Affine.rotation(angle) @ Affine.shear(shear)
    return place @ Affine.scale(res, -res)


LOW = {
    "same grid": (REFERENCE, north_up(10, REFERENCE)),
    "off grid": (REFERENCE, north_up(10, REFERENCE, 3.7)),
    "odd origin and pixels": (REFERENCE, north_up(9.7713, REFERENCE, 123.456789)),
    "other zone": ("EPSG:32632", north_up(10, "EPSG:32632")),
    "zone beyond": ("EPSG:32633", north_up(10, "EPSG:32633", 1.3)),
    "southern zone": ("EPSG:32732", north_up(10, "EPSG:32732")),
    "degrees": ("EPSG:4326", north_up(1e-4, "EPSG:4326")),
    "Lambert 93": ("EPSG:2154", north_up(10, "EPSG:2154", 0.1)),
    "polar stereographic": ("EPSG:3995", north_up(10, "EPSG:3995", -900)),
    "rotated": (REFERENCE, turned(10, -14)),
    "rotated by a quarter": (REFERENCE, turned(10, -90) @ Affine.translation(0, -120)),
    "sheared": (REFERENCE, turned(10, -8, shear=6)),
    "south up": (REFERENCE, Affine(10, 0, CORNER[0] - 300, 0, 10, CORNER[1] - 500)),
    "other zone, rotated": (
        "EPSG:32632",
        north_up(10, "EPSG:32632") @ Affine.translation(40, 0) @ Affine.rotation(21),
    ),
}
HIGH = {
    "north up": (REFERENCE, north_up(1.5, REFERENCE, 0.4) @ Affine.translation(0, -600)),
    "rotated": (REFERENCE, turned(1.5, 17) @ Affine.translation(100, 300)),
    "south up": (REFERENCE, Affine(1.5, 0, CORNER[0] + 0.1, 0, 1.5, CORNER[1])),
    "degrees": ("EPSG:4326", north_up(1.5e-5, "EPSG:4326") @ Affine.translation(60, -600)),
}
CASES = [("north up", low) for low in LOW] + [(high, "other zone") for high in HIGH if high != "north up"]


@pytest.mark.parametrize(("high_case", "low_case"), CASES)
def test_pixels_lie_where_the_transform_says(high_case, low_case, write_raster):
    for name, side, (crs, transform) in (("high", 800, HIGH[high_case]), ("low", 180, LOW[low_case])):
        pixels = ground_pixels(transform, crs, side, side)
        path = write_raster(f"{name}/a.tif", pixels, transform=transform, crs=crs)
    folder = path.parents[1]
    dataset = CrossSensorDataset(
        {
            "high": NativeRasterDataset(folder / "high", ground_sensor(1.5)),
            "low": NativeRasterDataset(folder / "low", ground_sensor(10)),
        }
    )
    assert dataset.crs == CRS(REFERENCE)
    centre = dataset.area.centroid
    x, y = round(centre.x) - 149.7, round(centre.y) - 149.8
    assert dataset.area.contains(shapely.box(x, y, x + 300, y + 300))
    sample = dataset[x : x + 300, y : y + 300]
    assert sample["image_high"].shape == (2, 200, 200)
    # A ten-thousandth of a degree is 11 m, and that of the sheared pixels along their edge is longer.
    assert sample["image_low"].shape[1] in {27, 30, 31}
    for key in ("high", "low"):
        assert sample[f"valid_{key}"].all()
        image = sample[f"image_{key}"].double().numpy() * 1000
        where = Affine(*sample[f"transform_{key}"][:6].tolist())
        error = image - ground_pixels(where, REFERENCE, image.shape[2], image.shape[1])
        assert np.abs(error).max() < TENTH_OF_A_FINE_PIXEL


@pytest.mark.parametrize("low_case", LOW)
@pytest.mark.parametrize(("resolution", "holes"), [(10, True), (30, False)])
def test_pixels_beside_holes_and_edges_lie_there_too(resolution, holes, low_case, write_raster):
    crs, transform = LOW[low_case]
    pixels = ground_pixels(transform, crs, 180, 180)
    if holes:
        pixels[:, np.random.default_rng(0).random((180, 180)) < 0.002] = -9999
        pixels[:, 60:90, 70:100] = pixels[:, 110:113] = -9999
    file = inspect_raster(
        str(write_raster("a.tif", pixels, transform=transform, crs=crs, nodata=-9999)), ground_sensor(10)
    )
    to_reference = Transformer.from_crs(crs, REFERENCE, always_xy=True)
    box = shapely.transform(file.box, lambda places: np.stack(to_reference.transform(*places.T), axis=1))
    xmin, ymin, xmax, ymax = box.bounds
    columns, rows = int((xmax - xmin) / resolution) + 4, int((ymax - ymin) / resolution) + 4
    where = Affine(resolution, 0, xmin - 1.7 * resolution, 0, -resolution, ymax + 1.6 * resolution)
    values, valid = read_onto(Grid(CRS(REFERENCE), where, columns, rows), file, ground_sensor(10))
    error = values - ground_pixels(where, REFERENCE, columns, rows)
    assert np.abs(error[:, valid]).max() < TENTH_OF_A_FINE_PIXEL
    # Single missing pixels cost the four or so that they would have a part in; the edge, half of one.
    assert (0.85 if holes else 0.93) * box.area < valid.sum() * resolution**2 < box.area


def test_windows_of_a_size_have_one_shape(write_raster):
    transform = north_up(10, REFERENCE, 3.7)
    path = write_raster("a.tif", ground_pixels(transform, REFERENCE, 180, 180), transform=transform)
    dataset = NativeRasterDataset(path, ground_sensor(10))
    x, y = dataset.bounds[0].start, dataset.bounds[1].start
    for shift in np.linspace(0, 11, 23):
        sample = dataset[x + shift : x + shift + 333, y + shift : y + shift + 333]
        assert sample["image"].shape == (2, 33, 33)
        corner = sample["transform"][[2, 5]].numpy() - (x + shift, y + shift + 333)
        assert np.abs(corner).max() <= 5 + 1e-6
        assert sample["bounds"][0].item() == x + shift


def test_datasets_stay_as_they_are(write_raster):
    pixels = np.ones((2, 60, 60))
    high = NativeRasterDataset(write_raster("a.tif", pixels, CORNER, res=2.0), ground_sensor(2))
    x, y = Transformer.from_crs(REFERENCE, "EPSG:32632", always_xy=True).transform(*CORNER)
    low_path = write_raster("b.tif", pixels, (x - 300, y + 300), crs="EPSG:32632")
    low = NativeRasterDataset(low_path, ground_sensor(10))
    before = low.index.copy()
    CrossSensorDataset({"high": high, "low": low})
    assert low.crs == CRS("EPSG:32632")
    assert low.res == (10, 10)
    assert low.index.equals(before)


def test_resampling_is_refused(write_raster):
    dataset = NativeRasterDataset(write_raster("a.tif", np.ones((2, 60, 60)), CORNER), ground_sensor(10))
    other = NativeRasterDataset(
        write_raster("b.tif", np.ones((2, 60, 60)), CORNER, res=2.0), ground_sensor(2)
    )
    with pytest.raises(ValueError, match="CrossSensorDataset"):
        other & dataset
    with pytest.raises(ValueError, match="never resamples"):
        dataset[CORNER[0] : CORNER[0] + 100 : 5]
