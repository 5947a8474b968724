"""Scenes are cut into windows that cover them, on one grid of patches."""

from dataclasses import replace
from types import SimpleNamespace

import geopandas as gpd
import numpy as np
import pytest
import shapely
import torch

from xstars_lightning.datamodules import SceneDataModule
from xstars_lightning.datasets import handles
from xstars_lightning.datasets.archive.geoparquet import write_index
from xstars_lightning.datasets.archive.scan import scan
from xstars_lightning.datasets.scene_names import root_of, scene_names
from xstars_lightning.datasets.tiling import Tiling, window_starts
from xstars_lightning.sensors import get_sensor

SMALL = {"window": 32, "overlap": 16, "patch_size": 8, "batch_size": 3}


def pixels(height, width, seed=0):
    return np.random.default_rng(seed).integers(1, 255, (3, height, width), dtype=np.uint8)


def opened(path, **options):
    data = SceneDataModule(str(path), "sentinel2_rgb", **{**SMALL, **options})
    data.setup("predict")
    return data


@pytest.mark.parametrize("overlap", [0, 8, 24])
def test_windows_cover_a_side_of_any_length(overlap):
    tiling = Tiling(32, overlap, 8)
    for length in range(1, 200):
        starts = window_starts(length, tiling)
        assert not (starts % 8).any()
        assert starts[0] == 0
        assert (np.diff(starts) > 0).all()
        assert (np.diff(starts) <= 32 - overlap).all()
        assert (
            length <= starts[-1] + 32 < max(length + 8, 33)
        )  # to the end and, if it can be, not a patch more


@pytest.mark.parametrize(("height", "width"), [(70, 101), (64, 32), (20, 100)])
def test_windows_put_together_are_the_scene(write_raster, height, width):
    image = pixels(height, width)
    image[:, 5:9, 3:7] = 0
    data = opened(write_raster("a.tif", image, nodata=0))
    rebuilt, seen = np.full((3, 200, 200), np.nan), np.zeros((200, 200), dtype=bool)
    for batch in data.predict_dataloader():
        for window, valid, row, col in zip(
            *(batch[k] for k in ("image", "valid", "row", "col")), strict=True
        ):
            part = np.s_[row : row + 32, col : col + 32]
            rebuilt[:, *part], seen[part] = window, valid[0]
    shown = image.any(axis=0)
    np.testing.assert_allclose(rebuilt[:, :height, :width][:, shown], image[:, shown] / 255, rtol=1e-6)
    np.testing.assert_array_equal(seen[:height, :width], shown)
    assert not seen[height:].any()
    assert not seen[:, width:].any()


def test_invalid_pixels_are_filled_from_the_nearest_valid_ones(write_raster):
    image = np.full((3, 32, 30), 100, dtype=np.uint8)
    image[:, :, 25:] = 200
    image[:, :, :4] = image[:, 20:, 18:] = 0
    sample = next(iter(opened(write_raster("a.tif", image, nodata=0)).predict_dataloader()))
    filled, valid = sample["image"][0, 0] * 255, sample["valid"][0, 0]
    assert (filled[:, :4] == 100).all()  # a border
    assert (filled[:20, 30:] == 200).all()  # beyond the scene
    assert (filled[25:, 20] == 100).all()
    assert (valid.sum(), filled.min()) == (20 * 26 + 12 * 14, 100)


def test_batches_have_one_shape_and_plain_types(write_raster):
    write_raster("two/a.tif", pixels(70, 40))
    data = opened(write_raster("two/b.tif", pixels(20, 90)).parent)
    batches = list(data.predict_dataloader())
    assert {tuple(batch["image"].shape[1:]) for batch in batches} == {(3, 32, 32)}
    assert {key: value.dtype for key, value in batches[0].items()} == {
        "image": torch.float32,
        "valid": torch.bool,
        "scene": torch.int64,
        "row": torch.int64,
        "col": torch.int64,
    }
    assert torch.cat([batch["scene"] for batch in batches]).tolist() == [0] * 8 + [1] * 5


def test_a_scene_smaller_than_a_window_is_said(write_raster):
    write_raster("two/a.tif", pixels(70, 40))
    path = write_raster("two/b.tif", pixels(20, 90))
    with pytest.warns(
        UserWarning, match=r"1 of 2 scenes are smaller than a window of 32 x 32.*b\.tif \(90 x 20\)"
    ):
        opened(path.parent)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"window": 30}, "30 pixels is no multiple of the patch size 8; take 24 or 32"),
        ({"window": 4}, "take 8 or 16"),
        ({"overlap": 12}, "overlap must be a multiple of the patch size 8"),
        ({"overlap": 32}, "below the window of 32"),
        ({"patch_size": 0}, "patch_size must be positive"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        SceneDataModule("nowhere", "sentinel2_rgb", **{**SMALL, **options})


def test_neighbours_share_half_a_window_by_default():
    assert SceneDataModule("nowhere", "sentinel2_rgb", window=112).tiling.overlap == 48  # whole patches


def test_names_follow_the_folders_and_differ(write_raster):
    names = ["in/x/rgb.tif", "in/y/rgb.tif", "in/S2.2020.tif", "in/z.tif", "in/z.img"]
    paths = [write_raster(name, pixels(32, 32)) for name in names]
    found = {scene.name for scene in opened(paths[0].parents[1]).scenes}
    assert found == {"x/rgb", "y/rgb", "S2.2020", "z.tif", "z.img"}
    assert [scene.name for scene in opened(paths[0]).scenes] == ["rgb"]
    assert [scene.name for scene in opened(paths[0].parents[1] / "x").scenes] == ["rgb"]
    several = opened(paths[0].parents[1] / "*" / "rgb.tif").scenes
    assert {scene.name for scene in several} == {"x/rgb", "y/rgb"}


@pytest.mark.parametrize("kind", ["folder", "glob", "list", "index"])
def test_names_stay_when_scenes_are_added_elsewhere(write_raster, tmp_path, kind):
    def named():
        given = {"folder": str(tmp_path / "in"), "glob": str(tmp_path / "in/**/*.tif")}
        given |= {"list": sorted(map(str, (tmp_path / "in").rglob("*.tif")))}
        given |= {"index": str(tmp_path / "index.parquet")}
        write_index(scan(given["folder"], get_sensor("sentinel2_rgb")), given["index"])
        data = SceneDataModule(given[kind], "sentinel2_rgb", **SMALL)
        data.setup("predict")
        return {scene.path: scene.name for scene in data.scenes}

    for name in ("in/x/2020/rgb.tif", "in/x/2021/rgb.tif"):
        write_raster(name, pixels(32, 32))
    before = named()
    assert len(set(before.values())) == 2
    for name in ("in/other.tif", "in/y/2020/rgb.tif"):
        write_raster(name, pixels(32, 32))
    after = named()
    assert (len(after), len(set(after.values()))) == (4, 4)
    assert before.items() <= after.items()


def test_a_product_that_is_given_itself_has_its_own_name():
    assert scene_names(["/a/S2A_1.SAFE"], root_of("/a/S2A_1.SAFE")) == ["S2A_1"]
    assert scene_names(["/a/S2A_1.SAFE"], "/a/S2A_1.SAFE") == ["S2A_1"]


def damaged(path):
    """A raster whose head and last block are sound."""
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 3000] = b"\xff" * 3000
    path.write_bytes(content)
    return path


TILED = {"compress": "deflate", "tiled": True, "blockxsize": 16, "blockysize": 16}


def test_a_scene_that_cannot_be_read_is_an_error_or_left_out(write_raster, caplog):
    write_raster("in/a.tif", pixels(64, 64))
    path = damaged(write_raster("in/b.tif", pixels(128, 128), **TILED))
    with pytest.raises(OSError, match=r"b\.tif"):
        list(opened(path.parent).predict_dataloader())
    data = opened(path.parent, skip_broken=True)
    broken = {0: [], 1: []}
    for batch in data.predict_dataloader():
        for number, lost, valid in zip(*(batch[k] for k in ("scene", "broken", "valid")), strict=True):
            broken[int(number)].append(bool(lost))
            assert bool(valid.any()) != bool(lost)
    assert not any(broken[0])
    first = broken[1].index(True)
    assert first > 0
    assert all(broken[1][first:])
    assert len(broken[1]) == len(data.scenes[1])
    assert caplog.text.count("b.tif is left out, as asked for") == 1


def test_scenes_that_cannot_be_opened_are_left_out_if_asked_for(write_raster, tmp_path, caplog):
    for name in ("a", "b", "c"):
        path = write_raster(f"in/{name}.tif", pixels(64, 64))
    write_index(scan(path.parent, get_sensor("sentinel2_rgb")), tmp_path / "index.parquet")
    path.with_stem("b").write_bytes(b"no raster")
    path.unlink()
    handles._opened.cache_clear()  # files that were opened before can still be read
    for source, error in ((path.parent, OSError), (tmp_path / "index.parquet", ValueError)):
        with pytest.raises(error):
            opened(source)
        caplog.clear()
        (left,) = opened(source, skip_broken=True).scenes
        assert left.path == str(path.with_stem("a"))
        assert "are left out, as asked for" in caplog.text
        assert "b.tif" in caplog.text


def test_the_date_is_read_from_the_name(write_raster):
    write_raster("in/S2A_20200517T104031_rgb.tif", pixels(32, 32))
    scenes = opened(write_raster("in/undated.tif", pixels(32, 32)).parent).scenes
    assert scenes[0].time == np.datetime64("2020-05-17T10:40:31")
    assert np.isnat(scenes[1].time)


def test_scenes_of_an_index_are_those_of_its_folder(write_raster, tmp_path):
    write_raster("in/x/a_20200517.tif", pixels(70, 40))
    folder = write_raster("in/x/b.tif", pixels(40, 40), (700_000, 0)).parent
    write_index(scan(folder, get_sensor("sentinel2_rgb")), tmp_path / "index.parquet")
    from_index, from_folder = opened(tmp_path / "index.parquet").scenes, opened(folder).scenes
    assert [(s.path, s.stamp) for s in from_index] == [(s.path, s.stamp) for s in from_folder]
    assert from_index[0].time == from_folder[0].time == np.datetime64("2020-05-17")
    for one, other in zip(from_index, from_folder, strict=True):
        assert (one.file.transform, one.crs, one.patch_shape) == (
            other.file.transform,
            other.crs,
            other.patch_shape,
        )


def test_footprints_are_windows_on_the_scene_in_degrees(write_raster):
    origin, size = (600_000, 5_000_000), 10.0
    scene = opened(write_raster("a.tif", pixels(70, 100), origin, size, "EPSG:32631")).scenes[0]
    inner, edge = scene.footprints([16, 40], [32, 72])
    for polygon, (left, top, right, bottom) in ((inner, (32, 16, 64, 48)), (edge, (72, 40, 100, 70))):
        box = shapely.box(
            origin[0] + left * size,
            origin[1] - bottom * size,
            origin[0] + right * size,
            origin[1] - top * size,
        )
        (expected,) = gpd.GeoSeries([shapely.segmentize(box, 20)], crs="EPSG:32631").to_crs("OGC:CRS84")
        assert shapely.symmetric_difference(polygon, expected).area < 1e-4 * expected.area


def test_footprints_are_cut_at_the_antimeridian(write_raster):
    # Zone 1 begins at 180 degrees west; the scene lies on both sides of it.
    path = write_raster("a.tif", pixels(64, 64), (165_000, 100_000), 500.0, "EPSG:32601")
    data = SceneDataModule(str(path), replace(get_sensor("sentinel2_rgb"), resolution=500), **SMALL)
    data.setup("predict")
    scene = data.scenes[0]
    (cut,) = scene.footprints([0], [0])
    west, _, east, _ = cut.bounds
    assert (west, east) == (-180, 180)
    assert cut.area < 0.1


@pytest.mark.parametrize("world", [1, 2, 5])
def test_processes_read_scenes_of_their_own(write_raster, world):
    for number, height in enumerate((40, 100, 64)):
        folder = write_raster(f"in/{number}.tif", pixels(height, 64)).parent
    data, read = opened(folder), []
    connector = SimpleNamespace(use_distributed_sampler=False)
    for rank in range(world):
        data.trainer = SimpleNamespace(global_rank=rank, world_size=world, _accelerator_connector=connector)
        read.append(sorted({n for batch in data.predict_dataloader() for n in batch["scene"].tolist()}))
    assert sorted(n for numbers in read for n in numbers) == [0, 1, 2]


def test_finished_scenes_are_left_out_and_others_stay_with_their_process(write_raster):
    for number in range(4):
        folder = write_raster(f"in/{number}.tif", pixels(64, 64)).parent
    data = opened(folder)
    connector = SimpleNamespace(use_distributed_sampler=False)
    data.trainer = SimpleNamespace(global_rank=1, world_size=2, _accelerator_connector=connector)
    before = data.predict_dataloader().dataset.numbers
    data.finished = lambda scene: scene.name == str(before[0])
    assert data.predict_dataloader().dataset.numbers == before[1:]


def test_the_sensor_has_the_key_that_was_given():
    data = SceneDataModule("nowhere", "sentinel2_rgb", key="sentinel2")
    assert data.sensors == {"sentinel2": get_sensor("sentinel2_rgb")}
    assert list(SceneDataModule("nowhere", "sentinel2_rgb").sensors) == ["sentinel2_rgb"]


def test_reading_in_other_processes_gives_the_same(write_raster):
    path = write_raster("a.tif", pixels(70, 101))
    here, there = (list(opened(path, num_workers=n).predict_dataloader()) for n in (0, 1))
    for one, other in zip(here, there, strict=True):
        assert all(torch.equal(one[key], other[key]) for key in one)
