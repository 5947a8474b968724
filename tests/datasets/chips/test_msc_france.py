"""MSC-France, in a folder of its layout whose pixels tell where they lie."""

import numpy as np
import pytest
import rasterio
import torch
from affine import Affine
from PIL import Image

from xstars_lightning.datasets.chips import MSCFrance

PIXELS = {"SPOT": 1.5, "Sentinel": 10.0, "Landsat": 30.0}
KEYS = {"spot": "SPOT", "sentinel2": "Sentinel", "landsat": "Landsat"}


def write(root, city, name, metres=180, folders=PIXELS, **changed):
    """A tile per sensor: red is the metre to the south, green the one to the east, blue 200."""
    for folder in folders:
        side = changed.get(folder, round(metres / PIXELS[folder]))
        metre = (np.arange(side) + 0.5) * PIXELS[folder]
        image = np.stack([*np.meshgrid(metre, metre, indexing="ij"), np.full((side, side), 200.0)])
        path = root / folder / city / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image = image.round().astype(np.uint8)
        if name.endswith(".tif"):
            shape = {"width": side, "height": side, "count": 3, "dtype": "uint8"}
            with rasterio.open(
                path, "w", "GTiff", crs="EPSG:2154", transform=Affine(2, 0, 0, 0, -2, 9), **shape
            ) as file:
                file.write(image)
        else:
            Image.fromarray(image.transpose(1, 2, 0)).save(path)


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "MSC-France"
    for city in ("Bordeaux", "Grenoble", "Toulouse"):
        for number in range(3):
            write(root, city, f"{city}_{number}.png")
    return root


@pytest.mark.filterwarnings("error::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("ending", ["png", "tif"])
def test_tiles_come_whole_and_scaled(ending, tmp_path):
    write(tmp_path, "Lyon", f"a.{ending}")
    dataset = MSCFrance(tmp_path)
    sample = dataset[0]
    assert {key: sample[f"image_{key}"].shape[1:] for key in KEYS} == {
        "spot": (120, 120),
        "sentinel2": (18, 18),
        "landsat": (6, 6),
    }
    torch.testing.assert_close(sample["image_landsat"][2], torch.full((6, 6), 200 / 255))
    assert all(sample[f"valid_{key}"].all() for key in KEYS)
    assert dataset.names == [f"Lyon/a.{ending}"]


@pytest.mark.parametrize("draw", [None, 3, 4])
def test_a_crop_is_the_same_ground_for_all(draw, root):
    dataset = MSCFrance(root, window=90)
    sample = dataset[4 if draw is None else (4, draw)]
    places = [sample[f"image_{key}"][:2].mean((1, 2)) * 255 for key in KEYS]
    for place in places[1:]:
        torch.testing.assert_close(place, places[0], atol=0.6, rtol=0)
    assert sample["image_spot"].shape == (3, 60, 60)


def test_crops_follow_from_the_draw(root):
    dataset = MSCFrance(root, window=60)
    corners = {draw: dataset[0, draw]["image_landsat"][:2, 0, 0] for draw in range(30)}
    assert len({tuple(corner.tolist()) for corner in corners.values()}) > 10
    torch.testing.assert_close(dataset[0, 7]["image_landsat"][:2, 0, 0], corners[7])


def test_cities_are_the_groups(root):
    assert MSCFrance(root).groups == ["Bordeaux"] * 3 + ["Grenoble"] * 3 + ["Toulouse"] * 3


def test_a_name_that_a_sensor_lacks_is_an_error(root):
    (root / "Landsat" / "Grenoble" / "Grenoble_1.png").unlink()
    words = (
        r"(?s)SPOT: 9 tiles, 0 missing\n.*Landsat: 8 tiles, 1 missing, for example Grenoble/Grenoble_1\.png"
    )
    with pytest.raises(ValueError, match=words):
        MSCFrance(root)
    with pytest.raises(ValueError, match="do not match"):
        MSCFrance(root, sensors={"spot": "spot_rgb", "landsat": "landsat_rgb"})
    assert len(MSCFrance(root, sensors={"spot": "spot_rgb", "sentinel2": "sentinel2_rgb"})) == 9


def test_a_sensor_may_be_missing_where_that_was_said(root):
    (root / "Landsat" / "Grenoble" / "Grenoble_1.png").unlink()
    dataset = MSCFrance(root, min_sensors=2)
    sample = dataset[dataset.names.index("Grenoble/Grenoble_1.png")]
    assert sample["image_landsat"].shape == (3, 6, 6)
    assert not sample["valid_landsat"].any()
    assert not sample["image_landsat"].any()
    assert sample["valid_spot"].all()
    assert len(MSCFrance(root, min_sensors=3)) == 8


def test_sizes_must_be_in_the_ratio_of_the_resolutions(root):
    write(root, "Grenoble", "Grenoble_1.png", Sentinel=17)
    dataset = MSCFrance(root)
    with pytest.raises(ValueError, match=r"Grenoble/Grenoble_1\.png.*sentinel2 17 x 17 pixels of 10 m"):
        dataset[4]


def test_tiles_of_two_sizes_need_a_window(root):
    write(root, "Grenoble", "Grenoble_1.png", metres=240)
    with pytest.raises(ValueError, match=r"Bordeaux_0\.png shows 180 x 180 m, .*Grenoble_1\.png 240 x 240"):
        MSCFrance(root)[4]
    assert MSCFrance(root, window=180)[4]["image_sentinel2"].shape == (3, 18, 18)


def test_raw_values_are_those_of_the_files(root):
    dataset = MSCFrance(root)
    dataset.raw = True
    sample = dataset[0]
    assert sample["raw_spot"].dtype == torch.uint8
    assert (sample["raw_spot"][2] == 200).all()
    assert "image_spot" not in sample


def test_nothing_there(tmp_path, root):
    with pytest.raises(FileNotFoundError, match="SPOT"):
        MSCFrance(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="knows spot, sentinel2, landsat as keys of sensors, not planet"):
        MSCFrance(root, sensors={"planet": "spot_rgb"})
    (root / "SPOT" / "Bordeaux" / "Bordeaux_0.png").write_bytes(b"no image")
    with pytest.raises(OSError, match=r"Bordeaux_0\.png"):
        MSCFrance(root)[0]


def test_plot_shows_a_row_per_chip(root):
    dataset = MSCFrance(root)
    assert len(dataset.plot(dataset[0]).axes) == 3
    batch = {key: torch.stack([value, value]) for key, value in dataset[0].items()}
    assert len(dataset.plot(batch, suptitle="two").axes) == 6
