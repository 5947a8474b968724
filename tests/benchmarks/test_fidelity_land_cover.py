"""Labels are read where the windows lie; a probe of one sensor is used on another as it is."""

from pathlib import Path

import pytest
import rasterio
import torch

from fidelity.land_cover import land_cover, mean_recall, place_labels, read_cover
from xstars_lightning.datasets import NativeRasterDataset, write_scenes
from xstars_lightning.sensors import get_sensor

SENTINEL2 = get_sensor("sentinel2_rgb")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_scenes(tmp_path_factory.mktemp("scenes"), {"s": SENTINEL2}, scenes=2, extent=240.0)


def bounds_of(folder, *offsets):
    """Windows of 60 m whose upper-left corners lie so far right of and below that of a scene."""
    dataset, windows = NativeRasterDataset(folder / "s", SENTINEL2), []
    for scene, right, down in offsets:
        with rasterio.open(folder / "land_cover" / f"scene_{scene:02d}.tif") as file:
            x, y = file.bounds.left + right, file.bounds.top - down
        windows.append(dataset[x : x + 60, y - 60 : y]["bounds"])
    return torch.stack(windows)


def test_labels_are_those_of_the_ground_of_the_windows(folder):
    found = read_cover(folder, bounds_of(folder, (1, 30, 90), (0, 0, 0)))
    assert (found.shape, found.dtype) == ((2, 40, 40), torch.uint8)
    for window, (scene, column, row) in zip(found, ((1, 20, 60), (0, 0, 0)), strict=True):
        with rasterio.open(folder / "land_cover" / f"scene_{scene:02d}.tif") as file:
            expected = file.read(1)[row : row + 40, column : column + 40]
        assert (window.numpy() == expected).all()


def test_ground_outside_a_scene_has_no_label(folder):
    (window,) = read_cover(folder, bounds_of(folder, (0, 200, -20)))
    (inside,) = read_cover(folder, bounds_of(folder, (0, 180, 0)))
    filled = window.nonzero()
    assert filled.min(dim=0).values.tolist() == [13, 0]
    assert filled.max(dim=0).values.tolist() == [39, 26]
    assert torch.equal(window[13:, :27], inside[:27, 13:])


def test_windows_of_other_ground_are_an_error(folder):
    elsewhere = bounds_of(folder, (0, 0, 0), (0, 30, 30))
    elsewhere[1, :2] -= 5000
    with pytest.raises(ValueError, match=r"Windows \[1\] lie in no scene"):
        read_cover(folder, elsewhere)
    with pytest.raises(FileNotFoundError):
        read_cover(folder / "s", elsewhere)


def test_place_has_the_class_of_most_labelled_pixels():
    windows = torch.randint(8, (40, 12, 12), generator=torch.Generator().manual_seed(0)).byte()
    windows[0, :3, :3] = 0
    windows[1, :3, :3] = torch.tensor([[0, 0, 0], [0, 0, 5], [0, 0, 0]])
    labels = place_labels(windows, 4)
    for index, window in enumerate(windows):
        for place in range(16):
            row, column = divmod(place, 4)
            pixels = window[3 * row : 3 * row + 3, 3 * column : 3 * column + 3].flatten().tolist()
            counts = [pixels.count(number) for number in range(1, 8)]
            expected = counts.index(max(counts)) + 1 if max(counts) else 0
            assert labels[index, place] == expected


def test_places_need_not_be_whole_pixels():
    window = torch.ones(1, 10, 10, dtype=torch.uint8)
    window[:, 4:] = 2
    assert place_labels(window, 3).tolist() == [[1, 1, 1, 2, 2, 2, 2, 2, 2]]


def places(seed=0, windows=40):
    """Tokens (W, 9, 4) that tell classes 1 to 3, and the classes."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(1, 4, (windows, 9), generator=generator)
    noise = 0.05 * torch.randn(windows, 9, 4, generator=generator)
    return torch.eye(4)[labels] + noise, labels


HALF = torch.arange(40) < 20


def test_scores_of_all_ordered_pairs():
    tokens, labels = places()
    scores = land_cover({"a": tokens, "b": tokens.flip(-1)}, labels, HALF)
    assert list(scores) == ["a>a", "a>b", "b>a", "b>b"]
    assert scores["a>a"] == scores["b>b"] == 1
    assert max(scores["a>b"], scores["b>a"]) < 0.7


def test_an_offset_between_sensors_is_not_taken_away():
    tokens, labels = places()
    shift = torch.tensor([0.0, 10.0, 0.0, 0.0])
    scores = land_cover({"a": tokens, "same": tokens.clone(), "shifted": tokens + shift}, labels, HALF)
    assert scores["a>same"] == 1
    assert scores["a>shifted"] == pytest.approx(1 / 3)


def test_only_ground_of_its_own_is_tested():
    tokens, labels = places()
    tokens[~HALF] = tokens[~HALF].roll(1, dims=-1)
    assert land_cover({"a": tokens}, labels, HALF)["a>a"] < 0.7
    tokens, labels = places()
    tokens[HALF] = tokens[HALF].roll(1, dims=-1)
    assert land_cover({"a": tokens}, labels, HALF)["a>a"] < 0.7


def test_unlabelled_places_and_rare_classes_do_not_count():
    tokens, labels = places()
    there = labels.clone()
    labels[:, 0] = 0
    labels[3, 3], tokens[3, 3] = 6, torch.eye(4)[0]
    labels[21, 3:5], tokens[21, 3:5] = 6, torch.eye(4)[1]
    assert land_cover({"a": tokens}, labels, HALF)["a>a"] == 1
    assert land_cover({"a": tokens}, labels, HALF, least=1)["a>a"] == pytest.approx(3 / 4)
    with pytest.raises(ValueError, match=r"1000 training and 1000 test places"):
        land_cover({"a": tokens}, there, HALF, least=1000)


def test_training_places_are_limited(monkeypatch):
    tokens, labels = places()
    seen = []
    probe = land_cover.__globals__["linear_probe"]

    def watched(features, classes, used):
        seen.append((len(features), len(classes), len(used)))
        return probe(features, classes, used)

    monkeypatch.setitem(land_cover.__globals__, "linear_probe", watched)
    land_cover({"a": tokens, "b": tokens}, labels, HALF, limit=50)
    assert seen == [(50, 50, 2 * 180)] * 2


def test_mean_recall_weighs_classes_alike():
    truth, predictions = torch.tensor([1, 1, 1, 4, 1]), torch.tensor([1, 1, 4, 4, 7])
    assert mean_recall(predictions, truth) == pytest.approx((2 / 4 + 1) / 2)
