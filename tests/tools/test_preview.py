"""What a run would see, of folders, of an archive, and of chips."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt

from xstars_lightning.datamodules import ArchiveDataModule, CrossSensorDataModule
from xstars_lightning.sensors import Sensor
from xstars_lightning.tools import preview_text
from xstars_lightning.tools.preview import preview
from xstars_lightning.tools.preview_facts import gather
from xstars_lightning.tools.preview_figure import plot_facts

SENSOR = Sensor("noise", ("red", "green", "blue"), 10, (0, 255), (0.5,) * 3, (0.3,) * 3)
WRONG = Sensor("wrong", ("red", "green", "blue"), 10, (0, 200), (0.1,) * 3, (0.1,) * 3)


@pytest.fixture(autouse=True)
def briefly(monkeypatch):
    monkeypatch.setattr("xstars_lightning.tools.preview_facts.SECONDS", 0)


@pytest.fixture
def folders(two_sensors):
    paths = {key: str(two_sensors / key) for key in ("high", "low")}
    sensors = {"high": SENSOR, "low": WRONG}
    dm = CrossSensorDataModule(paths, sensors, window=240, batch_size=4, windows_per_epoch=40)
    dm.setup("validate")
    return dm


@pytest.fixture
def archive(write_raster):
    """Two sensors in UTM zones of their own on either side of 6 degrees, 12 and 30 days apart."""
    pixels = np.random.default_rng(0).integers(1, 255, (3, 200, 200), dtype=np.uint8)
    for zone, x, days in ((31, 730_000, ("0101", "0113")), (32, 300_000, ("0201", "0303"))):
        crs = f"EPSG:326{zone}"
        write_raster(f"fine/a_2021{days[0]}_{zone}.tif", pixels, (x, 5_000_000), res=10.0, crs=crs)
        write_raster(f"coarse/b_2021{days[1]}_{zone}.tif", pixels, (x, 5_000_000), res=20.0, crs=crs)
    root = write_raster("other.tif", pixels).parent
    sensors = {"fine": SENSOR, "coarse": Sensor("coarse", SENSOR.bands, 20, (0, 255), *[(0.5,) * 3] * 2)}
    paths = {key: str(root / key) for key in sensors}
    options = {"windows_per_epoch": 20, "window": 400.0, "batch_size": 4, "num_workers": 2}
    datamodule = ArchiveDataModule(paths, sensors, val_fraction=0.0, **options)
    datamodule.setup("fit")
    return datamodule


def test_folders_are_told_and_drawn(folders, capsys, tmp_path):
    out = tmp_path / "preview.png"
    preview(folders, str(out), windows=8)
    said = " ".join(capsys.readouterr().out.split())
    for words in (
        "1 piece seen by several sensors, 8.35 km²",
        "240 m, 0.0576 km²",
        "40 windows, 10 batches of 4",
        "145 windows would fill the ground",
        "60x60",
        "24x24",
        "Sensor 'low': its pixels are far from the declared statistics",
        "lie outside its value_range (0, 200)",
    ):
        assert words in said
    assert "Sensor 'high'" not in said
    assert plt.imread(out).shape[1] > 1000
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_without_validation_there_is_a_map_all_the_same(folders):
    folders.val_sampler = None
    figure = plot_facts(gather(folders, 2))
    labels = [
        text.get_text() for axis in figure.axes if (legend := axis.get_legend()) for text in legend.texts
    ]
    assert labels == ["ground of windows", "40 training windows", "high (1)", "low (1)"]
    plt.close(figure)


def test_facts_are_those_of_the_windows(folders):
    facts = gather(folders, 8)
    high, low = facts.sensors.values()
    assert (len(facts.samples), len(facts.train_outlines), facts.reading.windows) == (8, 40, 9)
    assert (high.resolution, low.resolution) == (4, 10)
    assert (high.scenes.count, high.scenes.dated) == (1, 0)
    values = torch.cat([x["image_low"][:, x["valid_low"][0]] for x in facts.samples], dim=1)
    np.testing.assert_allclose(low.measured.mean, values.double().mean(dim=1), rtol=1e-6)
    assert facts.train_km2 < facts.km2 == pytest.approx(3**2 - 0.8**2, rel=3e-3)
    assert facts.val_windows == len(folders.val_sampler)


def test_an_archive_shows_dates_and_both_zones(archive):
    facts = gather(archive, 4)
    assert facts.pairs
    assert sorted(facts.days) == pytest.approx([12, 30], abs=1)
    west, _, east, _ = facts.ground.total_bounds
    assert 5.9 < west < 6 < east < 6.5
    places = np.array([[box.centroid.x, box.centroid.y] for box in facts.train_outlines])
    assert west < places[:, 0].min() < places[:, 0].max() < east
    fine = facts.sensors["fine"].scenes
    assert (fine.dated, f"{fine.first:%Y-%m-%d}", f"{fine.last:%Y-%m-%d}") == (2, "2021-01-01", "2021-02-01")
    figure = plot_facts(facts)
    assert any("days between" in axis.get_xlabel() for axis in figure.axes)
    plt.close(figure)


def test_chips_without_a_place_have_no_map(tmp_path, capsys):
    class Chips:
        def __getitem__(self, number):
            pixels = torch.arange(1200, dtype=torch.uint8).reshape(3, 20, 20)
            return {"raw_a": pixels, "valid_a": torch.ones(1, 20, 20, dtype=torch.bool)}

    options = {"windows_per_epoch": 5, "window": None, "batch_size": 1, "num_workers": 0}
    options |= {"dataset": Chips(), "reader": lambda spares: Chips(), "sensors": {"a": SENSOR}}
    datamodule = SimpleNamespace(train_sampler=range(5), val_sampler=[0], **options)
    preview(datamodule, str(tmp_path / "chips.png"), windows=3)
    said = capsys.readouterr().out
    assert "200 m, 0.04 km²" in said
    assert "ground" not in said
    assert (tmp_path / "chips.png").is_file()


def test_large_windows_are_thinned_and_unseen_sensors_named(folders):
    folders.sensors["low"] = SENSOR

    class Blind:
        raw, resolutions = False, {"high": 1, "low": 1}

        def __getitem__(self, window):
            large = torch.zeros(3, 600, 600)
            nothing = torch.zeros(1, 600, 600, dtype=torch.bool)
            return {"raw_high": large, "valid_high": ~nothing, "raw_low": large, "valid_low": nothing}

    folders.dataset = Blind()
    facts = gather(folders, 2)
    assert facts.samples[0]["image_high"].shape == (3, 200, 200)
    assert facts.sensors["high"].shape == (600, 600)
    assert facts.sensors["low"].measured is None
    assert "none of the first 2 windows shows it" in facts.sensors["low"].complaints[0]
    plt.close(plot_facts(facts))


def test_a_number_of_windows_that_shows_nothing(folders):
    with pytest.raises(ValueError, match="windows must be 1 or more, got 0"):
        preview(folders, windows=0)


@pytest.mark.parametrize(
    ("value", "shown"), [(727.3, "730"), (0.0123, "0.012"), (3.0, "3"), (14_900, "15000")]
)
def test_numbers_are_shown_without_exponents(value, shown):
    assert preview_text._plain(value, 2) == shown
