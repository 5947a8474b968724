"""The probe on patch tokens from the cache, and on data with faults."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from xstars_lightning.tasks import token_bank

pytestmark = pytest.mark.filterwarnings(
    "ignore:No weights given", "ignore:.*num_workers", "ignore:.*TreeSpec:FutureWarning"
)


@pytest.fixture
def embedded(monkeypatch):
    """Counts the tiles of which tokens were drawn."""
    counts = []
    original = token_bank.draw_tokens

    def draw(tokens, shares, images, *rest):
        counts.append(len(images))
        return original(tokens, shares, images, *rest)

    monkeypatch.setattr(token_bank, "draw_tokens", draw)
    return counts


def test_cache_saves_the_work_and_gives_the_same(probe, embedded, tmp_path):
    options = {"cache_dir": str(tmp_path / "cache"), "resolutions": (1.0, 0.5), "tokens_per_tile": 5}
    first = probe(**options)[1]
    assert sum(embedded) == 12
    embedded.clear()
    again = probe(**options)[1]
    assert embedded == [4, 2]  # the first of each split, to see whether the cache tells the truth
    assert again["resolutions"] == first["resolutions"]
    files = sorted(path.suffix for path in (tmp_path / "cache").iterdir())
    assert files == [".safetensors"] * 2


CHANGES = {
    "weights": {"weights": "pixels"},
    "filters": {"seed": 1},
    "size": {"image_size": 32},
    "resolutions": {"resolutions": (0.5,)},
    "tokens": {"tokens_per_tile": 3},
}


@pytest.mark.parametrize("changed", [*CHANGES, "classes", "order", "tile", "image", "mask", "sensor"])
def test_nothing_stale_is_served(changed, probe, embedded, loveda, tmp_path):
    options = {"cache_dir": str(tmp_path / "cache")}
    probe(**options)
    if changed in ("image", "mask"):
        for path in Path(loveda).glob(f"Train/*/{changed}s_png/*"):
            os.utime(path, ns=(0, 0))
    data = {
        "classes": {"class_names": {3: "wood", 2: "lake", 1: "field"}},
        "order": {"seed": 1},
        "tile": {"tile": 32},
        "sensor": {"sensors": {"aerial": "spot_rgb"}},
    }
    embedded.clear()
    probe(data.get(changed), **options, **CHANGES.get(changed, {}))
    tiles = 4 if changed == "tile" else 1
    assert embedded == [4 * tiles, 4 * tiles, 2 * tiles, 2 * tiles]


def test_cache_that_lies_is_found_out(probe, embedded, tmp_path, monkeypatch):
    """The code of a network is in no key."""
    options = {"cache_dir": str(tmp_path / "cache")}
    probe(**options)
    original = token_bank.dense_features
    monkeypatch.setattr(token_bank, "dense_features", lambda *given: 2 * original(*given))
    embedded.clear()
    with pytest.warns(UserWarning, match="Cached features of train differ .* embedded anew"):
        probe(**options)
    assert sum(embedded) == 4 + 10 + 2 + 2


def images(root, split):
    return sorted(Path(root).glob(f"{split}/*/images_png/*.png"))


def test_image_in_two_splits_is_named_twice(probe, loveda):
    train, test = images(loveda, "Train")[3], images(loveda, "Val")[1]
    shutil.copy(test, train)
    names = [str(path.relative_to(loveda)).replace("images", "masks") for path in (train, test)]
    with pytest.raises(ValueError, match=rf"1 test images .* train {names[0]} = test {names[1]}"):
        probe()
    with pytest.warns(UserWarning, match=f"EXCLUDED 1 images: train {names[0]}: is test image {names[1]}"):
        _, report = probe(skip_broken=True)
    assert report["excluded"] == [{"split": "train", "name": names[0], "reason": f"is test image {names[1]}"}]
    assert report["images"] == {"train": 9, "val": 2, "test": 6}


def test_truncated_image_is_an_error_or_left_out(probe, loveda, tmp_path):
    file = images(loveda, "Val")[0]
    file.write_bytes(file.read_bytes()[:300])
    name = str(file.relative_to(loveda)).replace("images", "masks")
    with pytest.raises(ValueError, match=f"{name} cannot be read"):
        probe()
    with pytest.warns(UserWarning, match=f"EXCLUDED 1 images: test {name}: {name} cannot be read"):
        _, report = probe(skip_broken=True)
    assert report["images"]["test"] == 5
    assert sum(map(sum, report["segmentation_probe"][0]["scores"][0]["confusion"])) == 5 * 3 * 32 * 32


def test_nothing_left_is_an_error(probe):
    with pytest.raises(ValueError, match=r"Nothing is left of the 10 train images.* has the label 3"):
        probe({"class_names": {1: "field", 2: "lake"}}, skip_broken=True)


def write_scene(root, number, side=64):
    name = f"LC8042008201322{number}LGN00"
    transform = Affine(30, 0, 500_000 + 30_000 * number, 0, -30, 4_000_000)
    mask = np.kron([[128, 255]], np.ones((1, side, side // 2))).astype(np.uint8)
    noise = np.random.default_rng(number).integers(0, 500, (11, side, side))
    pixels = np.where(mask == 255, 40000, 9000) + noise
    for ending, array in (("", pixels.astype(np.uint16)), ("_fixedmask", mask)):
        path = root / "barren" / name / f"{name}{ending}.TIF"
        path.parent.mkdir(parents=True, exist_ok=True)
        with rasterio.open(
            path, "w", "GTiff", side, side, len(array), "EPSG:32611", transform, array.dtype
        ) as file:
            file.write(array)
    return root / "barren" / name / f"{name}.TIF"


def scenes(root):
    recipe = {"dataset_class": "L8Biome", "options": {"bands": ["B4", "B3", "B2"]}, "splits": {"train": {}}}
    recipe |= {"held_out": {"test": 0.4}, "tile": 32, "class_names": {2: "clear", 4: "cloud"}, "ignored": [0]}
    sensor = {"name": "oli", "bands": ["red", "green", "blue"], "resolution": 30, "mean": [0.3] * 3}
    sensor |= {"value_range": [5000, 55000], "std": [0.3] * 3}
    return recipe | {"sensors": {"oli": sensor}, "root": str(root)}


def test_scenes_are_compared_and_left_out_whole(probe, tmp_path):
    files = [write_scene(tmp_path / "scenes", number) for number in range(5)]
    _, report = probe(scenes(tmp_path / "scenes"), weights="pixels", image_size=32)
    assert report["images"] == {"train": 3, "test": 2}
    assert all(report["data_hashes"].values())
    broken = files[1]
    broken.write_bytes(broken.read_bytes()[: broken.stat().st_size // 2])
    with pytest.warns(UserWarning, match=r"EXCLUDED 1 images: (train|test) LC80420082013221LGN00\.TIF"):
        _, report = probe(scenes(tmp_path / "scenes"), weights="pixels", image_size=32, skip_broken=True)
    assert sum(report["images"].values()) == 4
    for path in files[1:]:  # the same scene under another date
        for ending in ("", "_fixedmask"):
            shutil.copy(files[0].with_stem(files[0].stem + ending), path.with_stem(path.stem + ending))
    with pytest.raises(ValueError, match=r"LC8\w+\.TIF:\d+:\d = test LC8\w+\.TIF"):
        probe(scenes(tmp_path / "scenes"), weights="pixels", image_size=32)
