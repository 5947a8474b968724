"""Stacks in which coarse pixels were repeated, and those in which they only look so."""

import numpy as np
import pytest
import rasterio
import torch

from xstars_lightning.datasets.chips import AlignedStacks
from xstars_lightning.datasets.chips.repeated import phase
from xstars_lightning.sensors import Sensor


def sensor(resolution, bands=("red", "green", "blue")):
    return Sensor("s", bands, resolution, (0, 255), (0.5,) * len(bands), (0.2,) * len(bands))


SENSORS = {"fine": sensor(1), "middle": sensor(2), "coarse": sensor(6)}
CHANNELS = {"fine": [0, 1, 2], "middle": [5, 4, 3], "coarse": [6, 7, 8]}
FACTORS = {"fine": 1, "middle": 2, "coarse": 6}


def repeated(rng, factor, side, start):
    """(3, side, side) of random cells; the first whole one begins at `start`."""
    cells = rng.integers(1, 255, (3, side // factor + 2, side // factor + 2))
    whole = cells.repeat(factor, 1).repeat(factor, 2)
    begin = factor - start
    return whole[:, begin : begin + side, begin : begin + side]


def stack(seed=0, side=40, start=3, middle=None):
    rng = np.random.default_rng(seed)
    parts = [
        rng.integers(1, 255, (3, side, side)),
        repeated(rng, 2, side, start % 2 if middle is None else middle),
    ]
    return np.concatenate([*parts, repeated(rng, 6, side, start)]).astype(np.uint8)


@pytest.fixture
def root(tmp_path):
    for place in ("north", "south"):
        (tmp_path / place).mkdir()
        for number in range(2):
            np.savez(tmp_path / place / f"{place}_tile-{number}.npz", stack(number)[None])
    return tmp_path


def dataset(root, **changes):
    arguments = {"sensors": SENSORS, "channels": CHANNELS, "factors": FACTORS}
    return AlignedStacks(root, **(arguments | changes))


def test_every_sensor_comes_back_at_its_own_resolution(root):
    sample, whole = dataset(root)[1], stack(1)
    assert {key: sample[f"image_{key}"].shape[-1] for key in SENSORS} == {
        "fine": 36,
        "middle": 18,
        "coarse": 6,
    }
    cut = whole[:, 3:39, 3:39] / 255
    np.testing.assert_allclose(sample["image_fine"], cut[:3], atol=1e-6)
    np.testing.assert_allclose(sample["image_middle"], cut[[5, 4, 3], ::2, ::2], atol=1e-6)
    np.testing.assert_allclose(sample["image_coarse"], cut[6:, 5::6, 5::6], atol=1e-6)


@pytest.mark.parametrize("start", range(6))
def test_cells_may_begin_anywhere(start, tmp_path):
    np.save(tmp_path / "a.npy", stack(start=start))
    coarse = dataset(tmp_path)[0]["image_coarse"]
    inside = stack(start=start)[6:, start:, start:]
    np.testing.assert_allclose(coarse[:, :5, :5], inside[:, ::6, ::6][:, :5, :5] / 255, atol=1e-6)


def test_crops_lie_on_whole_cells(root):
    sample, whole = dataset(root, window=12)[0, 9], stack(0) / 255
    cell = sample["image_coarse"][:, 0, 0].numpy()
    row, col = np.argwhere(np.isclose(whole[6:], cell[:, None, None], atol=1e-6).all(0))[0]
    fine = whole[:3, row : row + 12, col : col + 12]
    np.testing.assert_allclose(sample["image_fine"], fine, atol=1e-6)


def test_pixels_that_are_not_repeated_are_refused(root, tmp_path):
    rows = np.arange(40) * 5 // 29  # cells of 5 and 6 pixels
    moved = stack()
    moved[6:] = moved[6:, rows * 6][:, :, rows * 6]
    np.savez(root / "north" / "moved.npz", moved)
    data = dataset(root)
    with pytest.raises(
        ValueError, match=r"moved\.npz, sensor 'coarse': .*not each repeated 6 times: .*rows 6, 12, 18"
    ):
        data[data.names.index(str(root / "north" / "moved.npz"))]


def test_cells_of_two_sensors_that_do_not_nest_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", stack(start=3, middle=0))
    with pytest.raises(ValueError, match=r"a\.npy: pixels of 'middle' do not begin where .*\(at 0 and 3\)"):
        dataset(tmp_path)[0]


def test_resampled_channels_can_be_averaged(tmp_path):
    np.save(tmp_path / "a.npy", stack(start=3, middle=0))
    sample = dataset(tmp_path, resampling="mean")[0]
    assert sample["image_fine"].shape[-1] == 36
    cells = stack(start=3, middle=0)[6:, :36, :36].reshape(3, 6, 6, 6, 6).mean((2, 4)) / 255
    np.testing.assert_allclose(sample["image_coarse"], cells, atol=1e-6)


def test_a_cell_with_a_missing_pixel_is_missing(tmp_path):
    values = stack(start=0)
    values[6:, 13, 13] = 0
    np.save(tmp_path / "a.npy", values)
    missing = Sensor("s", ("red", "green", "blue"), 6, (0, 255), (0.5,) * 3, (0.2,) * 3, nodata=0)
    sample = dataset(tmp_path, sensors=SENSORS | {"coarse": missing}, resampling="mean")[0]
    assert torch.nonzero(~sample["valid_coarse"][0]).tolist() == [[2, 2]]
    assert (sample["image_coarse"][:, 2, 2] == 0).all()


def test_a_constant_channel_has_no_phase():
    assert phase(np.ones((3, 12, 12)), 4) == (None, None)


def test_geotiff_and_groups(root, tmp_path):
    assert dataset(root).groups == ["north", "north", "south", "south"]
    assert dataset(root, group=r"_tile-(\d)").groups == ["0", "1", "0", "1"]
    shape = {"count": 9, "height": 40, "width": 40, "dtype": "uint8"}
    shape |= {"crs": "EPSG:32631", "transform": rasterio.Affine(1, 0, 5, 0, -1, 5)}
    with rasterio.open(root / "c.tif", "w", "GTiff", **shape) as file:
        file.write(stack(0))
    data = dataset(root)
    image = data[data.names.index(str(root / "c.tif"))]["image_middle"]
    torch.testing.assert_close(
        image, data[data.names.index(str(root / "north" / "north_tile-0.npz"))]["image_middle"]
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"channels": CHANNELS | {"fine": [0, 1]}}, r"'fine' has 3 bands \(red, green, blue\), .*\[0, 1\]"),
        ({"factors": {"fine": 1, "middle": 2}}, r"'coarse' a whole number of 1 or more, got 0"),
        ({"factors": FACTORS | {"middle": 3}}, r"6 \(coarse\) and 3 \(middle\) .*6 m and 2 m"),
        ({"group": r"_tile-\d"}, r"finds no group"),
    ],
)
def test_arguments_that_do_not_fit(changes, words, root):
    with pytest.raises(ValueError, match=words):
        dataset(root, **changes)


def test_files_that_do_not_fit(tmp_path):
    with pytest.raises(FileNotFoundError, match="No stack"):
        dataset(tmp_path)
    np.savez(tmp_path / "two.npz", a=stack(), b=stack())
    with pytest.raises(ValueError, match=r"two\.npz holds 2 arrays \(a, b\)"):
        dataset(tmp_path)[0]
    np.savez(tmp_path / "two.npz", stack()[:8])
    with pytest.raises(ValueError, match=r"two\.npz has 8 channels; `channels` names 8"):
        dataset(tmp_path)[0]
    (tmp_path / "two.npz").write_bytes(b"PK")
    with pytest.raises(OSError, match=r"two\.npz"):
        dataset(tmp_path)[0]


def test_nan_is_named(tmp_path):
    values = stack().astype(np.float32)
    values[0, 20, 20] = np.nan
    np.save(tmp_path / "a.npy", values)
    with pytest.raises(ValueError, match=r"a\.npy: 1 of 1296 pixels of sensor 's' are NaN"):
        dataset(tmp_path)[0]


# The 30 m pixels of the real patches lie in cells of 24 x 30, rotated: no multiple of 1 m.
CHESAPEAKE = {
    "sensors": {"naip": sensor(1), "landsat": sensor(30)},
    "channels": {"naip": [0, 1, 2], "landsat": [13, 12, 11]},
    "factors": {"naip": 1, "landsat": 30},
    "group": r"([^/]+)-\d+\.npz$",
}


def test_real_patches_are_refused_as_repeated(real_data):
    data = AlignedStacks(real_data / "chesapeake_patches", **CHESAPEAKE)
    assert len(data) == 16
    with pytest.raises(ValueError, match=r"wv_1m.*not each repeated 30 times.*resampling: mean"):
        data[0]


def test_averages_of_real_patches_show_the_ground_of_the_finer_sensor(real_data):
    data = AlignedStacks(real_data / "chesapeake_patches", **CHESAPEAKE, resampling="mean")
    assert len(set(data.groups)) == 2
    samples = [data[number] for number in range(len(data))]
    assert {tuple(sample["image_landsat"].shape) for sample in samples} == {(3, 8, 8)}
    red = [torch.stack([sample[f"image_{key}"][0] for sample in samples]) for key in ("naip", "landsat")]
    fine = red[0].unflatten(1, (8, 30)).unflatten(3, (8, 30)).mean((2, 4))

    def agreement(shift):
        moved = fine.roll(shift, dims=(1, 2))
        return torch.corrcoef(torch.stack([moved.flatten(), red[1].flatten()]))[0, 1].item()

    others = [agreement((y, x)) for y in (-2, 0, 2) for x in (-2, 0, 2) if (y, x) != (0, 0)]
    assert agreement((0, 0)) > max(others)
