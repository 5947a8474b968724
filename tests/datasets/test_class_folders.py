"""Class folders in several folders, and lists that name images in their own way."""

import numpy as np
import pytest
from PIL import Image

from xstars_lightning.datasets.class_folders import ClassFolders
from xstars_lightning.datasets.raster_folders import RasterFolders


@pytest.fixture
def divided(tmp_path):
    """Two folders of two classes; the lists lie beside them and take no notice of them."""
    for folder, numbers in (("one", range(4)), ("two", range(4, 6))):
        for name in ("lake", "wood"):
            (tmp_path / folder / name).mkdir(parents=True)
            for number in numbers:
                pixels = np.full((8, 8, 3), 10 * number, np.uint8)
                Image.fromarray(pixels).save(tmp_path / folder / name / f"{name}{number}.png")
    for split, number in (("train", 0), ("val", 1), ("test", 5)):
        rows = [f"{name}/{name}{number}.tif,{name}" for name in ("wood", "lake")]
        (tmp_path / f"{split}.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


LISTS = {split: f"{split}.csv" for split in ("train", "val", "test")}


def test_lists_leave_folder_and_ending_out(divided):
    options = {"folders": ["one", "two"], "any_ending": True}
    dataset = ClassFolders(divided, "test", LISTS, **options)
    assert dataset.names == ("two/wood/wood5.png", "two/lake/lake5.png")
    assert dataset.targets.tolist() == [1, 0]
    assert dataset[0]["image"].unique().tolist() == [50]  # as in the file


def test_the_ending_counts_unless_it_is_said(divided):
    with pytest.raises(FileNotFoundError, match=r"train.csv:1: there is no image wood/wood0.tif"):
        ClassFolders(divided, "test", LISTS, folders=["one", "two"])


def test_images_that_lists_cannot_tell_apart(divided):
    (divided / "two/wood/wood4.png").rename(divided / "two/wood/wood1.png")
    with pytest.raises(ValueError, match=r"cannot tell two/wood/wood1.png from one/wood/wood1.png"):
        ClassFolders(divided, "test", LISTS, folders=["one", "two"], any_ending=True)


def test_without_lists_several_folders_are_one_pool(divided):
    parts = [ClassFolders(divided, split, folders=["one", "two"]) for split in ("train", "val", "test")]
    assert [part.targets.bincount().tolist() for part in parts] == [[4, 4], [1, 1], [1, 1]]


def test_rasters_keep_their_bands_and_values(write_raster, tmp_path):
    for name in ("lake", "wood"):
        for number in range(3):
            pixels = np.arange(5, dtype=np.uint16)[:, None, None] * 1000 + np.full(
                (5, 4, 4), number, np.uint16
            )
            write_raster(f"{name}/{name}{number}.tif", pixels)
    (tmp_path / "lake" / "lake0.png").write_text("no raster")
    dataset = RasterFolders(tmp_path, "train")
    assert sorted(name.split("/")[0] for name in dataset.names) == ["lake", "wood"]
    sample, number = dataset[0], int(dataset.names[0][-5])
    assert sample["image"][:, 0, 0].tolist() == [1000 * band + number for band in range(5)]
    assert dataset.plot(sample).axes[0].get_title() == dataset.names[0].split("/")[0]
    file = tmp_path / dataset.names[0]
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(ValueError, match=rf"{file.name} cannot be read as a raster"):
        dataset[0]
