"""Scenes are embedded without seams, on their own grid, into files that others can read."""

import json
import resource
import tracemalloc

import geopandas as gpd
import lightning.pytorch as pl
import numpy as np
import pyarrow.parquet as pq
import pytest
import rasterio
import torch
import torch.nn.functional as F
from affine import Affine
from PIL import Image
from pyproj import CRS
from rasterio.windows import Window

from xstars_lightning.callbacks import EmbeddingWriter
from xstars_lightning.callbacks.dense_embedding import DenseEmbedding
from xstars_lightning.datamodules import SceneDataModule

WINDOW, OVERLAP, PATCH = 64, 32, 8
SIDE = WINDOW // PATCH


class Patches(pl.LightningModule):
    """Embeds each patch by itself: the mean of its bands, and their products, which pooling would mix."""

    settings = {"weights_sha256": "abc"}  # noqa: RUF012
    stop_at = None

    def predict_step(self, batch, batch_idx):
        if self.stop_at == batch_idx:
            raise RuntimeError("killed")
        seen = batch["valid"].flatten(1).any(dim=1)
        if not seen.any():
            return {"seen": seen}
        return {"seen": seen, **self.embed(batch["image"][seen], batch["valid"][seen])}

    def embed(self, image, valid):
        patches = embedded(image)
        share = F.avg_pool2d(valid.float(), PATCH)[:, 0]
        return {"window": patches.mean(dim=(1, 2)), "patches": patches, "share": share}


class Places(Patches):
    """Says where in its window a patch lies, in [0, 1], which no scene should show."""

    def embed(self, image, valid):
        result = super().embed(image, valid)
        place = (torch.arange(SIDE) + 0.5) / SIDE
        grid = torch.stack(torch.meshgrid(place, place, indexing="ij"), dim=-1)
        return {**result, "patches": grid.expand(len(image), -1, -1, -1)}


def embedded(image):
    mean = F.avg_pool2d(image, PATCH)
    return torch.cat([mean, F.avg_pool2d(image[:, :1] * image[:, 1:], PATCH)], dim=1).permute(0, 2, 3, 1)


def pixels(height, width, seed=0):
    return np.random.default_rng(seed).integers(1, 255, (3, height, width), dtype=np.uint8)


def predict(folder, out, module=None, writer=None, trainer=None, **data):
    data = {"window": WINDOW, "overlap": OVERLAP, "patch_size": PATCH, "batch_size": 5, **data}
    trainer = pl.Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[EmbeddingWriter(str(out), **(writer or {}))],
        **(trainer or {}),
    )
    return trainer.predict(
        module or Patches(), datamodule=SceneDataModule(str(folder), "sentinel2_rgb", **data)
    )


def read(path):
    with rasterio.open(path) as file:
        return file.read().transpose(1, 2, 0)


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("overlap", [0, 8, 32, 56])
def test_a_network_without_surroundings_gives_what_it_gives_for_the_whole_scene(
    write_raster, tmp_path, overlap
):
    image = pixels(190, 207)  # neither a multiple of a patch nor of a block
    predict(write_raster("in/a.tif", image).parent, tmp_path / "out", overlap=overlap)
    whole = F.pad(torch.from_numpy(image / np.float32(255))[None], (0, 1, 0, 2), mode="replicate")
    found, expected = read(tmp_path / "out/a.tif"), embedded(whole)[0].numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_where_a_patch_lies_in_its_window_does_not_show(write_raster, tmp_path):
    predict(write_raster("in/a.tif", pixels(302, 343)).parent, tmp_path / "out", Places())
    found = read(tmp_path / "out/a.tif")
    down, right = (np.abs(np.diff(found[..., axis], axis=axis)) for axis in (0, 1))
    step = 1 / SIDE  # from patch to patch within a window
    assert max(down.max(), right.max()) < 1.01 * step
    # Each window keeping its centre would jump by half the window.
    predict(tmp_path / "in", tmp_path / "cut", Places(), overlap=0)
    assert np.abs(np.diff(read(tmp_path / "cut/a.tif")[..., 1], axis=1)).max() > 5 * step


def test_pixels_lie_where_the_patches_do(write_raster, tmp_path):
    transform = Affine(9, 2, 600_000, 2, -9, 5_000_000)  # rotated
    predict(write_raster("in/a.tif", pixels(100, 130), transform=transform).parent, tmp_path / "out")
    with rasterio.open(tmp_path / "in/a.tif") as scene, rasterio.open(tmp_path / "out/a.tif") as file:
        assert file.crs == scene.crs
        assert file.shape == (13, 17)
        assert file.count == 5
        assert file.dtypes[0] == "float32"
        assert np.isnan(file.nodata)
        for col, row in ((0, 0), (3, 11)):
            np.testing.assert_allclose(file.transform @ (col, row), scene.transform @ (8 * col, 8 * row))


def test_the_file_can_be_read_in_parts_from_afar(write_raster, tmp_path):
    predict(write_raster("in/a.tif", pixels(300, 300)).parent, tmp_path / "out")
    with rasterio.open(tmp_path / "out/a.tif") as file:
        assert file.block_shapes[0] == (16, 16)
        assert file.interleaving.name == "pixel"
        places = [
            int(file.get_tag_item(f"BLOCK_OFFSET_{c}_{r}", "TIFF", bidx=1))
            for r in range(3)
            for c in range(3)
        ]
        directory = int(file.get_tag_item("IFD_OFFSET", "TIFF", bidx=1))
        assert directory < places[0]
        assert places == sorted(places)
        whole = file.read()
        np.testing.assert_array_equal(file.read(window=Window(20, 5, 9, 30)), whole[:, 5:35, 20:29])


def test_patches_are_missing_where_less_than_half_of_them_is_valid(write_raster, tmp_path):
    image = pixels(128, 128)
    image[:, :51, :72] = 0  # 3 of 8 rows of a patch remain below
    image[:, 80:84, 80:88] = 0  # half a patch
    predict(write_raster("in/a.tif", image, nodata=0).parent, tmp_path / "out")
    missing = np.isnan(read(tmp_path / "out/a.tif"))
    expected = np.zeros((16, 16), dtype=bool)
    expected[:6, :9] = True
    np.testing.assert_array_equal(missing, np.broadcast_to(expected[..., None], missing.shape))


def test_windows_are_read_back_by_geopandas(write_raster, tmp_path):
    image = pixels(96, 160)
    image[:, :, :80] = 0
    path = write_raster("in/S2_20200517.tif", image, (600_000, 5_000_000), nodata=0)
    predict(path.parent, tmp_path / "out")
    table = gpd.read_parquet(tmp_path / "out/S2_20200517.parquet")
    assert table.crs == "OGC:CRS84"
    assert table[["row", "col"]].to_numpy().tolist() == [[r, c] for r in (0, 32) for c in (32, 64, 96)]
    assert table["valid"].tolist() == [0.25, 0.75, 1, 0.25, 0.75, 1]  # the windows at column 0 show nothing
    assert set(table["file"]) == {str(path)}
    assert str(table["datetime"][0]) == "2020-05-17 00:00:00+00:00"
    box = table.geometry.to_crs("EPSG:32631")[5].bounds
    np.testing.assert_allclose(box, (600_960, 4_999_040, 601_600, 4_999_680), atol=0.1)
    whole = embedded(torch.from_numpy(image / np.float32(255))[None])[0]
    np.testing.assert_allclose(table["embedding"][5], whole[4:12, 12:20].mean(dim=(0, 1)), rtol=1e-5)
    field = pq.read_schema(tmp_path / "out/S2_20200517.parquet").field("embedding")
    assert str(field.type) == "fixed_size_list<element: float>[5]"


def test_files_say_what_they_were_made_with(write_raster, tmp_path):
    predict(write_raster("in/a.tif", pixels(64, 64)).parent, tmp_path / "out")
    metadata = pq.read_schema(tmp_path / "out/a.parquet").metadata[b"xstars_embedding"]
    with rasterio.open(tmp_path / "out/a.tif") as file:
        assert json.loads(file.tags()["xstars_embedding"]) == json.loads(metadata)
    expected = {"weights_sha256": "abc", "window": 64, "overlap": 32, "patch_size": 8, "scene": "a"}
    assert expected.items() <= json.loads(metadata).items()


def test_half_precision_keeps_three_digits(write_raster, tmp_path):
    folder = write_raster("in/a.tif", pixels(128, 128)).parent
    predict(folder, tmp_path / "full")
    predict(folder, tmp_path / "half", writer={"precision": "float16"})
    np.testing.assert_allclose(read(tmp_path / "half/a.tif"), read(tmp_path / "full/a.tif"), rtol=1e-3)
    full, half = (gpd.read_parquet(tmp_path / name / "a.parquet")["embedding"] for name in ("full", "half"))
    assert half[0].dtype == np.float16
    np.testing.assert_allclose(np.stack(half), np.stack(full), rtol=1e-3)


def test_a_scene_smaller_than_a_window_is_embedded(write_raster, tmp_path):
    image = pixels(20, 100)
    folder = write_raster("in/a.tif", image).parent
    with pytest.warns(UserWarning, match="smaller than a window"):
        predict(folder, tmp_path / "out")
    found = read(tmp_path / "out/a.tif")
    assert found.shape == (3, 13, 5)
    expected = embedded(torch.from_numpy(image / np.float32(255))[None])[0].numpy()
    np.testing.assert_allclose(found[:2, :12], expected, rtol=1e-4)


def test_a_run_that_was_stopped_goes_on(write_raster, tmp_path):
    for number in range(3):
        folder = write_raster(f"in/{number}.tif", pixels(128, 128, number)).parent
    module = Patches()
    module.stop_at = 3  # 9 windows a scene in batches of 5: within the second scene
    with pytest.raises(RuntimeError, match="killed"):
        predict(folder, tmp_path / "out", module)
    assert files(tmp_path / "out") == ["0.parquet", "0.tif"]
    before = (tmp_path / "out/0.tif").stat().st_mtime_ns
    (tmp_path / "out/1.tif.part").write_bytes(b"of a process that was killed")
    predict(folder, tmp_path / "out")
    assert (tmp_path / "out/0.tif").stat().st_mtime_ns == before
    predict(folder, tmp_path / "whole")
    assert files(tmp_path / "out") == files(tmp_path / "whole")
    for number in range(3):
        np.testing.assert_array_equal(
            read(tmp_path / f"out/{number}.tif"), read(tmp_path / f"whole/{number}.tif")
        )
        one, other = (gpd.read_parquet(tmp_path / f"{name}/{number}.parquet") for name in ("out", "whole"))
        assert one.equals(other)


def test_a_scene_of_which_one_file_is_missing_is_embedded_again(write_raster, tmp_path):
    folder = write_raster("in/a.tif", pixels(64, 64)).parent
    predict(folder, tmp_path / "out")
    (tmp_path / "out/a.parquet").unlink()
    predict(folder, tmp_path / "out")
    assert files(tmp_path / "out") == ["a.parquet", "a.png", "a.tif"]


def test_when_all_is_done_nothing_is_embedded(write_raster, tmp_path):
    folder = write_raster("in/a.tif", pixels(64, 64)).parent
    predict(folder, tmp_path / "out")
    module = Patches()
    module.stop_at = 0
    predict(folder, tmp_path / "out", module)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"overlap": 8}, r"a\.parquet was made with other settings: overlap was 32, is 8"),
        ({"writer": {"precision": "float16"}}, "precision was float32, is float16"),
        ({"module": "other"}, "weights_sha256 was abc, is def"),
    ],
)
def test_files_of_other_settings_stop_the_run(write_raster, tmp_path, change, words):
    folder = write_raster("in/a.tif", pixels(64, 64)).parent
    predict(folder, tmp_path / "out")
    if "module" in change:
        change = {"module": Patches()}
        change["module"].settings = {"weights_sha256": "def"}
    with pytest.raises(ValueError, match=words):
        predict(folder, tmp_path / "out", **change)


def test_a_scene_that_has_changed_stops_the_run(write_raster, tmp_path):
    folder = write_raster("in/a.tif", pixels(64, 64)).parent
    predict(folder, tmp_path / "out")
    write_raster("in/a.tif", pixels(64, 80))
    with pytest.raises(ValueError, match=r"a\.parquet was made with other settings: size_and_time"):
        predict(folder, tmp_path / "out")


def test_scenes_are_not_written_over(write_raster, tmp_path):
    path = write_raster("in/a.tif", pixels(64, 64))
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"a\.tif is in the way"):
        predict(path.parent, path.parent)
    assert path.read_bytes() == before


def test_a_limit_on_batches_leaves_no_half_of_a_scene(write_raster, tmp_path):
    for number in range(2):
        folder = write_raster(f"in/{number}.tif", pixels(128, 128)).parent
    predict(folder, tmp_path / "out", trainer={"limit_predict_batches": 3})
    assert files(tmp_path / "out") == ["0.parquet", "0.png", "0.tif"]


def test_patches_of_another_size_are_refused(write_raster, tmp_path):
    folder = write_raster("in/a.tif", pixels(64, 64)).parent
    with pytest.raises(ValueError, match=r"8 x 8 patches for a window of 64 .* of 8 pixels, not 16"):
        predict(folder, tmp_path / "out", patch_size=16)
    assert not files(tmp_path / "out") if (tmp_path / "out").exists() else True


def test_no_prediction_is_kept(write_raster, tmp_path):
    assert not predict(write_raster("in/a.tif", pixels(128, 128)).parent, tmp_path / "out")


def test_one_kind_of_file_can_be_left_out(write_raster, tmp_path):
    folder = write_raster("in/a.tif", pixels(64, 64)).parent
    predict(folder, tmp_path / "windows", writer={"dense": False})
    predict(folder, tmp_path / "patches", writer={"windows": False, "pictures": False})
    assert (files(tmp_path / "windows"), files(tmp_path / "patches")) == (["a.parquet"], ["a.tif"])
    with pytest.raises(ValueError, match="Neither"):
        EmbeddingWriter(windows=False, dense=False)


def test_memory_does_not_grow_with_the_height_of_a_scene(tmp_path):
    def peak(rows):
        tracemalloc.start()
        dense = DenseEmbedding(
            tmp_path / "a.tif", (rows, 40), 64, 8, CRS("EPSG:32631").to_wkt(), Affine.scale(1), {}
        )
        window = np.ones((8, 8, 64), dtype=np.float32)
        for row in range(0, rows - 7, 4):
            for col in range(0, 33, 4):
                dense.add(row, col, window, np.ones((8, 8)))
        dense.close()
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    assert peak(400) < 1.1 * peak(40)


def test_a_full_disk_leaves_no_file_that_looks_finished(write_raster, tmp_path):
    folder = write_raster("in/a.tif", pixels(640, 640)).parent
    predict(folder, tmp_path / "whole", writer={"windows": False, "pictures": False})
    size = (tmp_path / "whole/a.tif").stat().st_size
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size - 1000, limits[1]))
    try:
        with pytest.raises(OSError, match=r"a\.tif\.part could not be written whole. Is the disk full"):
            predict(folder, tmp_path / "out", writer={"windows": False, "pictures": False})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert files(tmp_path / "out") == []


def test_equal_embeddings_have_equal_colours_in_all_pictures(write_raster, tmp_path):
    shared = pixels(64, 64)
    write_raster("in/a.tif", np.concatenate([shared, pixels(64, 64, 1)], axis=2))
    dark = np.concatenate([pixels(64, 64, 2) // 4 + 1, shared], axis=2)
    dark[:, :8, :8] = 0
    predict(write_raster("in/b.tif", dark, nodata=0).parent, tmp_path / "out")
    one, other = (np.asarray(Image.open(tmp_path / f"out/{name}.png")) for name in "ab")
    factor = 512 // 16
    assert one.shape == (8 * factor, 16 * factor, 4)
    np.testing.assert_array_equal(one[:, : 8 * factor], other[:, 8 * factor :])
    assert not other[:factor, :factor, 3].any()
    assert (other[factor:, :, 3] == 255).all()
    assert one[..., :3].std() > 10


def test_a_scene_without_a_valid_pixel_is_read_once(write_raster, tmp_path):
    write_raster("in/a.tif", np.zeros((3, 64, 64), np.uint8), nodata=0)
    folder = write_raster("in/b.tif", pixels(64, 64), nodata=0).parent
    predict(folder, tmp_path / "out")
    assert files(tmp_path / "out") == ["a.empty", "b.parquet", "b.png", "b.tif"]
    module = Patches()
    module.stop_at = 0
    predict(folder, tmp_path / "out", module)
    (tmp_path / "out/a.empty").write_text("{}")  # of other settings
    with pytest.raises(RuntimeError, match="killed"):
        predict(folder, tmp_path / "out", module)


def test_a_scene_that_cannot_be_read_does_not_stop_the_others(write_raster, tmp_path, caplog):
    tiled = {"compress": "deflate", "tiled": True, "blockxsize": 16, "blockysize": 16}
    for number in range(3):
        path = write_raster(f"in/{number}.tif", pixels(160, 160, number), **tiled)
    content = bytearray(path.with_stem("1").read_bytes())
    content[len(content) // 2 : len(content) // 2 + 3000] = b"\xff" * 3000
    path.with_stem("1").write_bytes(content)
    with pytest.raises(OSError, match=r"1\.tif"):
        predict(path.parent, tmp_path / "out")
    assert files(tmp_path / "out") == ["0.parquet", "0.tif"]
    predict(path.parent, tmp_path / "out", skip_broken=True)
    assert files(tmp_path / "out") == [f"{n}.{end}" for n in (0, 2) for end in ("parquet", "png", "tif")]
    assert "1 scenes cannot be read and were left out" in caplog.text
    predict(path.parent, tmp_path / "whole", skip_broken=True)
    np.testing.assert_array_equal(read(tmp_path / "out/2.tif"), read(tmp_path / "whole/2.tif"))
    caplog.clear()
    predict(path.parent, tmp_path / "out", skip_broken=True)
    assert "1 scenes cannot be read" in caplog.text  # tried again


def test_data_without_scenes_are_refused(tmp_path):
    trainer = pl.Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, callbacks=[EmbeddingWriter()]
    )
    with pytest.raises(ValueError, match="use SceneDataModule"):
        trainer.predict(Patches(), torch.utils.data.DataLoader([0]))
