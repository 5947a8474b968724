"""Every recipe for segmentation and change detection on a tiny set of files in the layout of the real one."""

from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import torch
import yaml
from affine import Affine
from PIL import Image
from shapely import box
from torchgeo.datasets import OSCD, FLAIRHUBToy, LoveDA, Potsdam2D, Vaihingen2D

from xstars_lightning.datamodules.segmentation import SegmentationDataModule

RECIPES = Path(__file__).parents[2] / "datamodules"
SIDE = 32
rng = np.random.default_rng(0)


def png(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def tif(path, pixels, crs=None, transform=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    bands, height, width = pixels.shape
    georeference = {"crs": crs, "transform": transform} if crs else {}
    with rasterio.open(path, "w", "GTiff", width, height, bands, dtype=pixels.dtype, **georeference) as file:
        file.write(pixels)


def bytes_(*shape):
    return rng.integers(0, 256, shape, dtype=np.uint8)


def halves(low, high, side=SIDE):
    """A mask whose left half has one value and whose right half another."""
    mask = np.full((side, side), low, np.uint8)
    mask[:, side // 2 :] = high
    return mask


def loveda(root):
    for split in ("Train", "Val"):
        for scene in ("Urban", "Rural"):
            for number in range(6):
                png(root / split / scene / "images_png" / f"{number}.png", bytes_(SIDE, SIDE, 3))
                png(root / split / scene / "masks_png" / f"{number}.png", halves(0, 1 + number))


def isprs(dataset, image, mask):
    def write(root):
        for split in ("train", "test"):
            for name in dataset.splits[split][:5]:
                colours = np.array(dataset.colormap, np.uint8)
                tif(root / image.format(name), bytes_(4 if "RGBIR" in image else 3, SIDE, SIDE))
                tif(root / mask.format(name), colours[halves(0, 2)].transpose(2, 0, 1))

    return write


def flair(root):
    base, ids = root / "FLAIR-HUB_TOY", []
    for number in range(6):
        patch = f"D004-2021_AA-S1-32_{number}-0"
        ids.append(patch)
        domain, place = patch.split("_", 1)
        for kind, pixels in (
            ("AERIAL_RGBI", bytes_(4, SIDE, SIDE)),
            ("AERIAL_LABEL-COSIA", halves(8, 18)[None]),
        ):
            tif(base / f"{domain}_{kind}" / "AA-S1-32" / f"{domain}_{kind}_{place}.tif", pixels)
    splits = ["train"] * 3 + ["valid"] + ["test"] * 2
    frame = gpd.GeoDataFrame(
        {"patch_id": ids, "split_toy": splits}, geometry=[box(0, 0, 1, 1)] * 6, crs="EPSG:2154"
    )
    (base / "GLOBAL_ALL_MTD").mkdir()
    frame.to_file(base / "GLOBAL_ALL_MTD" / "GLOBAL_ALL_MTD_SPLIT.gpkg")


def l8biome(root):
    """Five scenes; the fill of the first is a quarter of it."""
    for number in range(5):
        name = f"LC8042008201322{number}LGN00"
        transform = Affine(30, 0, 500_000 + 30_000 * number, 0, -30, 4_000_000)
        folder = root / ("barren" if number < 3 else "water") / name
        pixels = rng.integers(6000, 30000, (11, 2 * SIDE, 2 * SIDE), dtype=np.uint16)
        tif(folder / f"{name}.TIF", pixels, "EPSG:32611", transform)
        tif(folder / f"{name}_fixedmask.TIF", halves(128, 255, 2 * SIDE)[None], "EPSG:32611", transform)


def oscd(root):
    start = "Onera Satellite Change Detection dataset - "
    regions = {"Train": ("abudhabi", "beihai", "bercy"), "Test": ("brasilia", "chongqing")}
    for split, names in regions.items():
        for position, region in enumerate(names):
            side = SIDE + 7 * position
            folder = root / f"{start}Images" / region
            for date in (1, 2):
                for band in OSCD.all_bands:
                    pixels = rng.integers(0, 4000, (1, side, side), dtype=np.uint16)
                    tif(folder / f"imgs_{date}_rect" / f"{band}.tif", pixels)
            (folder / "dates.txt").write_text("date_1: 20160120\ndate_2: 20180328\n")
            png(root / f"{start}{split} Labels" / region / "cm" / "cm.png", halves(0, 255, side))


def levircd(root):
    for split, count in (("train", 3), ("val", 1), ("test", 2)):
        for number in range(1, count + 1):
            for folder in ("A", "B"):
                png(root / folder / f"{split}_{number}.png", bytes_(SIDE, SIDE, 3))
            png(root / "label" / f"{split}_{number}.png", halves(0, 255))


def chesapeake_cover(root):
    for split in ("train", "val"):
        for number in range(4):
            array = rng.uniform(0, 255, (1, 29, SIDE, SIDE)).astype(np.float32)
            array[0, 10:28] *= 10
            array[0, 8] = halves(2, 3)
            (root / split).mkdir(parents=True, exist_ok=True)
            np.savez(root / split / f"wv_1m_2014-m_3708020_sw_17_1-{number}.npz", array)


WRITERS = {
    "loveda": loveda,
    "potsdam": isprs(Potsdam2D, "4_Ortho_RGBIR/{}_RGBIR.tif", "{}_label.tif"),
    "vaihingen": isprs(Vaihingen2D, "top/{}", "{}"),
    "flair": flair,
    "l8biome": l8biome,
    "oscd": oscd,
    "levircd": levircd,
    "chesapeake_cover": chesapeake_cover,
}
# Images of train, val and test; classes in the masks of the test; bands.
EXPECTED = {
    "loveda": ((11, 1, 12), {0, 1, 2, 3, 4, 5, 255}, (3,)),
    "potsdam": ((4, 1, 5), {1, 255}, (4,)),
    "vaihingen": ((4, 1, 5), {1, 255}, (3,)),
    "flair": ((3, 1, 2), {8, 255}, (4,)),
    "l8biome": ((3, 1, 1), {1, 3, 255}, (7,)),
    "oscd": ((2, 1, 2), {0, 1, 255}, (2, 13)),  # 255: what tiles repeat of an image of 39 pixels
    "levircd": ((3, 1, 2), {0, 1}, (2, 3)),
    "chesapeake_cover": ((3, 1, 4), {1, 2}, (3,)),
}
TOY = {
    "flair": {"dataset_class": "FLAIRHUBToy", "options": {"bands": ["AERIAL_RGBI"]}},
    "potsdam": {"incomplete": True},
    "vaihingen": {"incomplete": True},
}


def datamodule(name, root, **options):
    content = yaml.safe_load((RECIPES / f"{name}.yaml").read_text())
    assert content["class_path"] == "SegmentationDataModule"
    small = {"root": str(root), "num_workers": 0} | ({"tile": SIDE} if "tile" in content["init_args"] else {})
    return SegmentationDataModule(**(content["init_args"] | small | TOY.get(name, {}) | options))


@pytest.mark.parametrize("name", WRITERS)
def test_recipe_reads_files_of_the_real_layout(name, tmp_path):
    WRITERS[name](tmp_path)
    data = datamodule(name, tmp_path)
    data.setup("fit")
    data.setup("test")
    counts, classes, shape = EXPECTED[name]
    parts = [getattr(data, f"{split}_dataset").names for split in ("train", "val", "test")]
    assert tuple(map(len, parts)) == counts
    assert len({*parts[0], *parts[1]}) == counts[0] + counts[1]
    seen = set()
    for batch in data.test_dataloader():
        image, mask = batch["image"], batch["mask"]
        assert image.shape[1:-2] == shape
        assert mask.shape == (len(image), *image.shape[-2:])
        assert (image.dtype, mask.dtype) == (torch.float32, torch.int64)
        assert image.min() > -0.3
        assert image.max() < 1.3
        seen |= {*mask.unique().tolist()}
    assert seen <= classes
    assert seen - {255} == classes - {255}
    assert set(range(len(data.class_names))) >= classes - {255}


def test_values_are_scaled_by_the_range_of_the_sensor_and_bands_keep_their_order(tmp_path):
    l8biome(tmp_path)
    data = datamodule("l8biome", tmp_path)
    data.setup("fit")
    (file,) = data.train_dataset.files[0]
    with rasterio.open(file) as scene:
        raw = torch.from_numpy(scene.read([1, 2, 3, 4, 5, 6, 7]).astype(np.float32))
    # Windows side by side from the lower left.
    torch.testing.assert_close(data.train_dataset[0]["image"][0], (raw[:, SIDE:, :SIDE] - 5000) / 50000)


def test_scenes_of_several_zones_are_read_on_their_own_grids(tmp_path):
    """In TorchGeo's one grid, pixels of 30 m would be 19 m on the ground of the second scene."""
    pixels = {}
    for number, (zone, north) in enumerate(((32611, 1_000_000), (32615, 5_600_000), (32613, 3_000_000))):
        name = f"LC8042008201322{number}LGN00"
        pixels[name] = rng.integers(6000, 30000, (11, 2 * SIDE, 2 * SIDE), dtype=np.uint16)
        place = (f"EPSG:{zone}", Affine(30, 0, 500_000, 0, -30, north))
        tif(tmp_path / "urban" / name / f"{name}.TIF", pixels[name], *place)
        tif(tmp_path / "urban" / name / f"{name}_fixedmask.TIF", halves(128, 255, 2 * SIDE)[None], *place)
    data = datamodule("l8biome", tmp_path, batch_size=1)
    data.setup("fit")
    data.setup("test")
    for split in ("train", "val", "test"):
        dataset = getattr(data, f"{split}_dataset")
        assert (len(dataset), len(dataset.names)) == (4, 1)
        raw = torch.from_numpy(pixels[Path(dataset.names[0].split(":")[0]).stem][:7].astype(np.float32))
        for number, (row, col) in enumerate(((SIDE, 0), (SIDE, SIDE), (0, 0), (0, SIDE))):
            window = raw[:, row : row + SIDE, col : col + SIDE]
            torch.testing.assert_close(dataset[number]["image"][0], (window - 5000) / 50000)
            assert set(dataset[number]["mask"].unique().tolist()) == {3 if col else 1}


@pytest.mark.parametrize("name", ["potsdam", "vaihingen"])
def test_images_that_torchgeo_leaves_out_without_a_word_are_named(name, tmp_path):
    WRITERS[name](tmp_path)
    dataset = {"potsdam": Potsdam2D, "vaihingen": Vaihingen2D}[name]
    listed = dataset.splits["train"]
    words = f"{len(listed) - 5} of {len(listed)} images of the split 'train' of {dataset.__name__} "
    with pytest.raises(ValueError, match=f"{words}.*: {listed[5]}, .* incomplete: true"):
        datamodule(name, tmp_path, incomplete=False).setup("fit")


def test_a_data_set_without_a_gap_is_complete(tmp_path, monkeypatch):
    monkeypatch.setattr(Potsdam2D, "splits", {key: some[:5] for key, some in Potsdam2D.splits.items()})
    potsdam = WRITERS["potsdam"]
    potsdam(tmp_path)
    data = datamodule("potsdam", tmp_path, incomplete=False)
    data.setup("fit")
    (tmp_path / f"{Potsdam2D.splits['test'][3]}_label.tif").unlink()
    with pytest.raises(ValueError, match=f"1 of 5 images .* {Potsdam2D.splits['test'][3]}. Add them"):
        data.setup("test")


@pytest.mark.parametrize(("test", "train"), [("naip", "landsat_leaf_on"), ("landsat_leaf_on", "naip")])
def test_train_on_one_sensor_and_test_on_the_other(test, train, tmp_path):
    chesapeake_cover(tmp_path)
    content = yaml.safe_load((RECIPES / "chesapeake_cover.yaml").read_text())["init_args"]
    sensors = {"naip": content["test_sensors"], "landsat_leaf_on": content["sensors"]}
    data = datamodule(
        "chesapeake_cover",
        tmp_path,
        splits={"train": {"split": "train", "sensor": train}, "test": {"split": "val", "sensor": test}},
        sensors=sensors[train],
        test_sensors=sensors[test],
    )
    data.setup("fit")
    data.setup("test")
    (name,) = data.test_dataset.names[:1]
    with np.load(tmp_path / name) as file:
        array = torch.from_numpy(file["arr_0"][0])
    channels, scale = {"naip": ([0, 1, 2], 255), "landsat_leaf_on": ([13, 12, 11], 10000)}[test]
    torch.testing.assert_close(data.test_dataset[0]["image"][0], array[channels] / scale)


def test_classes_of_loveda_are_those_of_its_masks(tmp_path):
    """TorchGeo lists `no-data` last, in the files it is 0."""
    loveda(tmp_path)
    data = datamodule("loveda", tmp_path)
    assert data.class_names == list(LoveDA.classes[:7])
    data.setup("test")
    shown = {
        name: {*data.test_dataset[n]["mask"].unique().tolist()}
        for n, name in enumerate(data.test_dataset.names)
    }
    assert shown["Val/Rural/masks_png/2.png"] == {2, 255}


def test_every_recipe_for_segmentation_is_here():
    recipes = {path.stem for path in RECIPES.glob("*.yaml") if "SegmentationDataModule" in path.read_text()}
    assert recipes == {*WRITERS}


def test_names_of_flair_are_of_the_split(tmp_path):
    flair(tmp_path)
    data = datamodule("flair", tmp_path)
    data.setup("test")
    names = [Path(name).stem for name in data.test_dataset.names]
    assert names == [f"D004-2021_AERIAL_LABEL-COSIA_AA-S1-32_{n}-0" for n in (4, 5)]
    assert len(FLAIRHUBToy(tmp_path, "val", bands=["AERIAL_RGBI"])) == 1


def test_scenes_need_a_tile(tmp_path):
    l8biome(tmp_path)
    with pytest.raises(ValueError, match="L8BiomeScenes has scenes without bounds: give `tile`"):
        datamodule("l8biome", tmp_path, tile=None).setup("fit")


def test_a_scene_that_cannot_be_opened_is_named(tmp_path):
    """TorchGeo leaves it out without a word."""
    l8biome(tmp_path)
    file = tmp_path / "water" / "LC80420082013224LGN00" / "LC80420082013224LGN00.TIF"
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(ValueError, match=rf"1 files cannot be opened: .*{file.name}\. Replace or remove"):
        datamodule("l8biome", tmp_path).setup("fit")
