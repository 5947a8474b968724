"""Our weights as a model of the benchmark torchgeo-bench."""

import pytest
import torch

base = pytest.importorskip("torchgeo_bench.datasets.base", reason="needs the optional extra bench")

from xstars_lightning.models.features import open_features, pool  # noqa: E402
from xstars_lightning.models.peers.torchgeo_bench import FrozenFeatures, sensor_of  # noqa: E402
from xstars_lightning.sensors import get_sensor  # noqa: E402

BANDS = [
    base.BandSpec("s2", name, name, mean=1000, std=500, min=0, max=20000)
    for name in ("b02", "green", "b04", "red_edge_4")
]


def test_bands_have_common_names_and_a_range():
    sensor = sensor_of(BANDS)
    assert sensor.bands == ("blue", "green", "red", "nir08")
    assert (sensor.value_range, sensor.mean[0], sensor.std[0]) == ((0, 10000), 0.1, 0.05)


@pytest.mark.filterwarnings("ignore:No weights given")
def test_features_are_ours():
    model = FrozenFeatures(BANDS, features="cls+mean", image_size=32, normalization="minmax").eval()
    image = torch.rand(2, 4, 32, 32)
    with torch.no_grad():
        expected = pool(open_features(None, "s2", sensor_of(BANDS))(image), "cls+mean")
        torch.testing.assert_close(model(10000 * image), expected)


def test_bands_of_the_catalogue_are_met():
    datasets = pytest.importorskip("torchgeo_bench.datasets.eurosat")
    assert set(sensor_of(datasets.EuroSAT.bands).bands) == set(get_sensor("sentinel2_l1c").bands)
