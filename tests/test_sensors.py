"""The catalogue, and sensors of one's own."""

from pathlib import Path

import pytest

from xstars_lightning.sensor_files import sensor_yaml
from xstars_lightning.sensors import CATALOGUE, Sensor, get_sensor, resolve_sensors

OWN = {
    "name": "own",
    "bands": ("red", "nir"),
    "resolution": 3.0,
    "value_range": (0, 10000),
    "mean": (0.1, 0.2),
    "std": (0.1, 0.1),
    "rgb_bands": ("nir", "red", "red"),
}


def test_catalogue_covers_the_sensors_of_the_readme():
    assert {"spot_rgb", "sentinel2_rgb", "sentinel2_l1c", "sentinel2_l2a", "landsat_sr", "naip_rgbn"} <= set(
        CATALOGUE
    )
    assert len(get_sensor("sentinel2_l1c").bands) == 13
    assert len(get_sensor("sentinel2_l2a").bands) == 12


@pytest.mark.parametrize("sensor", CATALOGUE.values(), ids=CATALOGUE)
def test_statistics_are_those_of_scaled_values(sensor):
    assert all(0 < mean < 1 for mean in sensor.mean)
    assert all(0 < std < 0.5 for std in sensor.std)


def test_landsat_range_is_reflectance_from_0_to_1():
    low, high = get_sensor("landsat_sr").value_range
    assert (low * 2.75e-5 - 0.2, high * 2.75e-5 - 0.2) == pytest.approx((0, 1))


def test_unknown_sensor_suggests_the_nearest():
    with pytest.raises(ValueError, match=r"'sentinel2_l2'.*Did you mean 'sentinel2_l2a'"):
        get_sensor("sentinel2_l2")


def test_names_and_sensors_resolve():
    own = Sensor(**OWN)
    resolved = resolve_sensors({"a": "spot_rgb", "b": own, "c": own.to_dict()})
    assert resolved == {"a": get_sensor("spot_rgb"), "b": own, "c": own}
    assert own.rgb_indices == (1, 0, 0)
    assert Sensor(**own.to_dict()) == own


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"mean": (0.1,)}, "mean has 1 values for 2 bands"),
        ({"std": (0.1, 0.0)}, "std must be positive"),
        ({"bands": ("red", "red")}, "distinct"),
        ({"value_range": (1, 1)}, "must increase"),
        ({"resolution": 0}, "resolution must be positive"),
        ({"rgb_bands": ("red", "green", "blue")}, "rgb_bands.*green"),
    ],
)
def test_what_cannot_be_is_refused_with_the_name(change, words):
    with pytest.raises(ValueError, match=f"'own'.*{words}"):
        Sensor(**(OWN | change))


def sensor_file(folder, **change):
    path = folder / "own.yaml"
    values = {key: value for key, value in (OWN | change).items() if value is not ...}
    path.write_text(sensor_yaml(values, "measured"))
    return str(path)


def test_a_sensor_comes_back_from_its_file(tmp_path):
    path = sensor_file(tmp_path, nodata=float("-inf"))
    assert Path(path).read_text().startswith("# measured\nname: own\nbands: [red, nir]\n")
    assert resolve_sensors({"a": path})["a"] == Sensor(**OWN, nodata=float("-inf"))
    assert get_sensor(sensor_file(tmp_path, rgb_bands=("red",) * 3)).nodata is None


def test_small_numbers_that_yaml_takes_for_texts_are_read(tmp_path):
    path = Path(sensor_file(tmp_path))
    path.write_text(path.read_text().replace("[0.1, 0.2]", "[1e-5, 2e-5]"))
    assert get_sensor(str(path)).mean == (1e-5, 2e-5)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"mean": (0.1,)}, "mean has 1 values for 2 bands"),
        ({"std": ("wide", 0.1)}, r"std must be a list of numbers, got \['wide', 0.1\]"),
        ({"bands": "red"}, "bands must be a list of texts, got 'red'"),
        ({"value_range": (1, 2, 3)}, "value_range must be a list of two numbers"),
        ({"resolution": None}, "resolution must be a number, got None"),
        ({"std": ..., "mean": ...}, "lacks mean, std"),
        ({"stdev": (0.1, 0.1)}, "has no stdev"),
    ],
)
def test_errors_in_a_sensor_file_name_file_and_key(tmp_path, change, words):
    path = sensor_file(tmp_path, **change)
    with pytest.raises(ValueError, match=rf"own\.yaml.*{words}"):
        get_sensor(path)


def test_files_that_are_no_sensors(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.yaml.*xstars stats"):
        get_sensor("nowhere.yaml")
    for text, words in (("[1, 2]", "describes no sensor"), ("a: [", "is no YAML")):
        (tmp_path / "other.yml").write_text(text)
        with pytest.raises(ValueError, match=rf"other\.yml {words}"):
            get_sensor(str(tmp_path / "other.yml"))
