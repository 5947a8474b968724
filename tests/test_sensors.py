"""The catalogue, and sensors of one's own."""

import pytest

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
