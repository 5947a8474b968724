"""Images and masks of any dataset: scaled, renumbered, cut into tiles."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset

from xstars_lightning.datasets.chesapeake_cover import ChesapeakeCover
from xstars_lightning.datasets.labelled import Labelled, Tiles, join_tiles
from xstars_lightning.datasets.labelled_files import own_files
from xstars_lightning.datasets.levircd import LabelledLEVIRCD
from xstars_lightning.datasets.sources import Images, image_names, open_dataset
from xstars_lightning.sensors import get_sensor


class Fields(Dataset):
    """Three images of digital numbers, whose files are not in the order of their names."""

    def __init__(self, mask=None, side=(20, 30)):
        self.root = "/data"
        self.files = [{"mask": f"/data/masks/{name}.png"} for name in "cab"]
        self.mask = torch.zeros(side, dtype=torch.long) if mask is None else mask
        self.pixels = torch.arange(3 * side[0] * side[1]).float().view(3, *side) % 256

    def __len__(self):
        return 3

    def __getitem__(self, index):
        return {"image": self.pixels + index / 10, "mask": self.mask}


def labelled(mask=None, values=(0, 3), ignored=(9,), sensor="aerial_rgb", **options):
    dataset = Fields(mask, **options)
    return Labelled(Images(dataset, image_names(dataset)), get_sensor(sensor), values, ignored)


def test_names_are_those_of_the_files_and_give_the_order():
    dataset = Fields()
    assert image_names(dataset) == ["masks/c.png", "masks/a.png", "masks/b.png"]
    images = Images(dataset, ["masks/c.png", "masks/a.png"])
    assert images.names == ["masks/a.png", "masks/c.png"]
    assert [images[n]["image"][0, 0, 0] for n in range(2)] == pytest.approx([0.1, 0.0])


def test_values_become_positions_and_ignored_ones_255():
    mask = torch.tensor([[0, 3], [9, 3]])
    sample = labelled(mask, side=(2, 2))[0]
    assert sample["mask"].tolist() == [[0, 1], [255, 1]]
    torch.testing.assert_close(sample["image"], (Fields(mask, (2, 2)).pixels + 0.1) / 255)


@pytest.mark.parametrize("value", [2, 255, 300, -1])
def test_a_label_outside_the_classes_is_named_with_its_file(value):
    mask = torch.zeros(20, 30, dtype=torch.long)
    mask[3, 4] = value
    with pytest.raises(ValueError, match=rf"masks/a\.png has the label {value}; known are classes \[0, 3\]"):
        labelled(mask)[0]


def test_bands_must_be_those_of_the_sensor():
    with pytest.raises(ValueError, match=r"masks/a\.png has 3 bands, the sensor 'naip_rgbn' 4"):
        labelled(sensor="naip_rgbn")[0]


def test_tiles_cover_an_image_and_count_each_pixel_once():
    mask = (torch.arange(600).view(20, 30) % 2) * 3
    whole = labelled(mask)[0]
    tiles = Tiles(labelled(mask), 8)[0]
    assert tiles["image"].shape == (3 * 4, 3, 8, 8)
    assert tiles["index"].tolist() == [0] * 12
    used = tiles["mask"] != 255
    assert used.sum() == 600
    assert tiles["mask"][used].sum() == whole["mask"].sum()
    # Image and mask stay together.
    lines = (tiles["image"][:, 0] * 255 - 0.1).round().long() % 2
    assert torch.equal(lines[used], tiles["mask"][used])


def test_without_a_size_images_stay_whole():
    tiles = Tiles(labelled(), None)[1]
    assert tiles["image"].shape == (1, 3, 20, 30)


def test_crops_are_random_and_keep_image_and_mask_together():
    mask = (torch.arange(600).view(20, 30) % 2) * 3
    torch.manual_seed(0)
    tiles = Tiles(labelled(mask), 8, crops=40)[0]
    assert tiles["image"].shape == (40, 3, 8, 8)
    lines = (tiles["image"][:, 0] * 255 - 0.1).round().long() % 2
    assert torch.equal(lines, tiles["mask"])
    corners = tiles["image"][:, 0, 0, 0].unique()
    assert len(corners) > 20
    steps = tiles["image"][:, 0, 0, 1] - tiles["image"][:, 0, 0, 0]
    assert {*(steps * 255).round().long().tolist()} >= {1, -1, 30, -30}  # turned and flipped


def test_sizes_that_make_no_batch():
    with pytest.raises(ValueError, match="cannot make one batch; set batch_size 1 or `tile`"):
        join_tiles([Tiles(labelled())[0], Tiles(labelled(side=(8, 8)))[0]])


def test_a_damaged_image_is_named(tmp_path):
    write_levir(tmp_path, ["train_1.png"])
    file = tmp_path / "B" / "train_1.png"
    file.write_bytes(file.read_bytes()[:40])
    dataset = LabelledLEVIRCD(str(tmp_path))
    source = Labelled(Images(dataset, image_names(dataset)), get_sensor("aerial_rgb"), [0, 1])
    with pytest.raises(ValueError, match=r"label/train_1\.png cannot be read"):
        source[0]


def write_levir(root, names):
    for position, folder in enumerate(("A", "B", "label")):
        (root / folder).mkdir(exist_ok=True)
        for number, name in enumerate(names):
            pixels = (
                np.full((8, 8), 50 * position + number, np.uint8)
                if position < 2
                else np.zeros((8, 8), np.uint8)
            )
            if position == 2:
                pixels[: number + 1] = 255
            Image.fromarray(pixels).convert("RGB" if position < 2 else "L").save(root / folder / name)


def test_a_damaged_archive_is_named(tmp_path):
    (tmp_path / "train").mkdir()
    file = tmp_path / "train" / "a.npz"
    np.savez(file, np.zeros((1, 29, 8, 8), np.float32))
    file.write_bytes(file.read_bytes()[:500])
    dataset = ChesapeakeCover(tmp_path)
    source = Labelled(Images(dataset, image_names(dataset)), get_sensor("naip_rgbn"), [0])
    with pytest.raises(ValueError, match=r"train/a\.npz cannot be read"):
        source[0]


def test_files_and_positions_follow_the_images_that_are_kept(tmp_path):
    write_levir(tmp_path, ["train_1.png", "train_2.png", "train_3.png"])
    dataset = LabelledLEVIRCD(str(tmp_path))
    source = Images(dataset, image_names(dataset)[1:])
    kept = Tiles(Labelled(source, get_sensor("aerial_rgb"), [0, 255], ignored=[1]), 4).keep([1])
    assert (kept.names, len(kept), kept.image_of) == (["label/train_3.png"], 1, [0])
    assert kept.files == [[tmp_path / folder / "train_3.png" for folder in "AB"]]
    assert kept.masks == [[tmp_path / "label" / "train_3.png"]]
    assert kept[0]["index"].tolist() == [0] * 4
    assert (kept.transforms["tile"], kept.transforms["values"]) == (4, [0, 255])


def test_files_that_are_not_told_or_not_there():
    assert own_files(Fields()) is None
    assert Images(Fields(), image_names(Fields())).files() is None


def test_pairs_of_levir_are_matched_by_name(tmp_path):
    write_levir(tmp_path, ["train_1.png", "train_2.png", "train_3.png"])
    (tmp_path / "label" / "train_2.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"1 files .* only: train_2\.png.* skip_unlabelled"):
        LabelledLEVIRCD(str(tmp_path))
    with pytest.warns(UserWarning, match=r"Left out: 1 files .* train_2\.png"):
        dataset = LabelledLEVIRCD(str(tmp_path), skip_unlabelled=True)
    assert image_names(dataset) == ["label/train_1.png", "label/train_3.png"]
    assert dataset[1]["image"][0, 0, 0, 0] == 2
    assert dataset[1]["mask"].sum() == 3 * 8


def test_channels_of_the_chesapeake_patches(tmp_path):
    array = np.arange(29, dtype=np.float32)[None, :, None, None] * np.ones((1, 1, 4, 4), np.float32)
    (tmp_path / "train").mkdir()
    np.savez(tmp_path / "train" / "a.npz", array)
    sample = ChesapeakeCover(tmp_path, sensor="landsat_leaf_off", bands=["red", "nir08"])[0]
    assert (sample["image"][:, 0, 0].tolist(), sample["mask"][0, 0].item()) == ([22, 23], 8)
    assert ChesapeakeCover(tmp_path)[0]["image"][:, 0, 0].tolist() == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="Unknown sensor 'spot'"):
        ChesapeakeCover(tmp_path, sensor="spot")
    with pytest.raises(ValueError, match="naip has no band swir16"):
        ChesapeakeCover(tmp_path, bands=["swir16"])
    with pytest.raises(FileNotFoundError, match=r"No npz file in .*test"):
        ChesapeakeCover(tmp_path, "test")


def test_classes_of_datasets_are_found_by_name(tmp_path):
    with pytest.raises(ValueError, match="No dataset 'LoveDa'"):
        open_dataset("LoveDa", str(tmp_path), {})
    with pytest.raises(ValueError, match="LoveDA has no argument splt; it has root, split"):
        open_dataset("LoveDA", str(tmp_path), {"splt": "train"})
