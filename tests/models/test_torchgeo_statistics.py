"""Every member of TorchGeo's weights is refused with a reason, or gives values that a network knows."""

from dataclasses import replace
from fnmatch import fnmatchcase
from statistics import median

import pytest
from torchgeo import models
from torchvision.models import WeightsEnum

from xstars_lightning.models.peers.torchgeo_models import find_builder
from xstars_lightning.models.peers.torchgeo_statistics import read_statistics
from xstars_lightning.sensors import CATALOGUE, Sensor

GROUPS = [g for g in vars(models).values() if isinstance(g, type) and issubclass(g, WeightsEnum)]
MEMBERS = {str(member): member for group in GROUPS for member in group}

_OLI = CATALOGUE["landsat_sr"]
_MORE = ("cirrus", "b6", "b6_vcid_1", "b6_vcid_2", "b8", "b10", "b11")
# What the catalogue lacks: radar in decibels, and the thermal and panchromatic bands of Landsat.
RADAR = Sensor("radar", ("vv", "vh"), 10, (-50, 10), (0.62, 0.5), (0.09, 0.1), ("vv",) * 3)
LANDSAT = replace(
    _OLI,
    name="landsat_toa",
    bands=(*_OLI.bands, *_MORE),
    value_range=(0, 10000),
    mean=_OLI.mean + (0.2,) * len(_MORE),
    std=_OLI.std + (0.1,) * len(_MORE),
)
SENSORS = (*CATALOGUE.values(), RADAR, LANDSAT)
NOT_OF_ONE_SENSOR = {
    name: weights for name, weights in MEMBERS.items() if not name.startswith(("ResNet", "ViT", "Swin"))
}
REFUSED = {
    "*.SENTINEL2_RGB_SECO": r"quantiles of red and blue exchanged",
    "*.SENTINEL2_*_MS_SATLAS": r"mixes 8-bit bands and reflectance",
    "*.SENTINEL1_*_SATLAS": r"values up to 255",
    "*.LANDSAT_*_SATLAS": r"digital numbers less 4000",
    "*.SENTINEL1_GRD_*CLOSP": r"means \(-.*choose other weights",
    "*.SENTINEL2_ALL_NDVI_SECO_ECO": r"Missing: .*ndvi",
}

pytestmark = pytest.mark.filterwarnings("ignore:.*8-bit pictures")


def refusal(name):
    return next((reason for pattern, reason in REFUSED.items() if fnmatchcase(name, pattern)), None)


def fits(name, sensor):
    """Whether a sensor is what the name of the weights says, however its bands are called."""
    if sensor is RADAR or "SENTINEL1" in name:
        return sensor is RADAR and "SENTINEL1" in name
    if "LANDSAT" in name:
        return sensor is LANDSAT or sensor is _OLI
    reflectance = sensor.value_range != (0, 255)
    if any(word in name for word in ("RGB_SATLAS", "NAIP", "RGB_GASSL", "CITYSCAPES")):
        return not reflectance
    return sensor.name.startswith("sentinel2") and reflectance


def test_there_are_members_of_every_kind():
    assert len(MEMBERS) - len(NOT_OF_ONE_SENSOR) > 80
    assert all(any(fnmatchcase(name, pattern) for name in MEMBERS) for pattern in REFUSED)


def statistics_for(name, sensor):
    """Bands, mean and deviation; None where they are refused."""
    try:
        return read_statistics(MEMBERS[name], name, sensor)
    except ValueError:
        return None


@pytest.mark.parametrize("name", [name for name in MEMBERS if name not in NOT_OF_ONE_SENSOR])
def test_a_member_is_refused_or_gives_values_that_networks_know(name):
    find_builder(models, MEMBERS[name], name)
    found = [(sensor, statistics_for(name, sensor)) for sensor in SENSORS]
    accepted = [(sensor, *statistics) for sensor, statistics in found if statistics]
    for sensor, bands, mean, std in accepted:
        at = [sensor.bands.index(band) for band in bands]
        assert len(bands) == MEMBERS[name].meta["in_chans"]
        assert max(abs(sensor.mean[i] - m) / s for i, m, s in zip(at, mean, std, strict=True)) <= 5
        assert 0.05 <= median(sensor.std[i] / s for i, s in zip(at, std, strict=True)) <= 10
    assert any(fits(name, sensor) for sensor, *_ in accepted) == (refusal(name) is None)


@pytest.mark.parametrize("name", [name for name in MEMBERS if refusal(name)])
def test_what_is_refused_says_why(name):
    sensor = RADAR if "SENTINEL1" in name else LANDSAT if "LANDSAT" in name else CATALOGUE["sentinel2_l1c"]
    with pytest.raises(ValueError, match=refusal(name)) as raised:
        read_statistics(MEMBERS[name], name, sensor)
    assert name in str(raised.value)


@pytest.mark.parametrize("name", NOT_OF_ONE_SENSOR)
def test_networks_of_more_than_one_sensor_are_refused(name):
    with pytest.raises(ValueError, match="takes more than images of one sensor"):
        find_builder(models, MEMBERS[name], name)


def test_statistics_of_the_sensor_that_cannot_be_right_are_refused():
    """Sentinel-2 since 2022 has 1000 added to every value, so that cirrus stands out."""
    sensor = CATALOGUE["sentinel2_l1c"]
    shifted = replace(sensor, mean=tuple(mean + 0.1 for mean in sensor.mean))
    name = "ResNet50_Weights.SENTINEL2_ALL_SOFTCON"
    with pytest.raises(ValueError, match=r"SOFTCON would see .*'sentinel2_l1c' with means .*cirrus"):
        read_statistics(MEMBERS[name], name, shifted)
    linear = replace(RADAR, value_range=(0, 1))
    name = "ViTSmall16_Weights.SENTINEL1_GRD_MAE"
    with pytest.raises(ValueError, match=r"SENTINEL1_GRD_MAE would see .*deviations \(0\.0"):
        read_statistics(MEMBERS[name], name, linear)


@pytest.mark.parametrize(
    "name", ["Swin_V2_T_Weights.SENTINEL2_SI_RGB_SATLAS", "ResNet50_Weights.FMOW_RGB_GASSL"]
)
@pytest.mark.parametrize("value_range", [(0, 10000), (1000, 11000), (0, 1)])
def test_reflectance_for_weights_of_pictures_is_said(name, value_range):
    with pytest.warns(UserWarning, match=f"{name} was trained on 8-bit pictures.*3 times too dark"):
        read_statistics(MEMBERS[name], name, replace(CATALOGUE["sentinel2_l1c"], value_range=value_range))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value_range", [(0, 255), (0, 3558)])
def test_pictures_for_weights_of_pictures_are_right(value_range):
    name = "Swin_V2_T_Weights.SENTINEL2_SI_RGB_SATLAS"
    sensor = replace(CATALOGUE["sentinel2_rgb"], value_range=value_range)
    bands, mean, std = read_statistics(MEMBERS[name], name, sensor)
    assert (bands, mean, std) == (("red", "green", "blue"), (0, 0, 0), (1, 1, 1))
