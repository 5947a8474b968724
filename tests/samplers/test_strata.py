import logging

import geopandas as gpd
import numpy as np
import pytest
import shapely
from pyproj import CRS
from shapely import box

from xstars_lightning.samplers import PairWindowSampler, RandomWindowSampler, Strata
from xstars_lightning.samplers import strata as strata_module

AREA = box(500_000, 5_000_000, 510_000, 5_010_000)


@pytest.fixture
def land_cover(write_raster):
    """Classes 10 (north, 7 of 10 km), 20 (25 %) and 30 (5 %) on 100 m pixels; a corner of nodata."""
    classes = np.full((1, 100, 100), 10, dtype=np.uint8)
    classes[:, 70:, :] = 20
    classes[:, 95:, :] = 30
    classes[:, :10, :10] = 255
    return write_raster("classes.tif", classes, (500_000, 5_010_000), 100.0, nodata=255)


def classes_of(windows, land):
    x, y = np.array([((a + c) / 2, (b + d) / 2) for a, b, c, d in windows]).T
    return land.at(x, y)


def test_a_raster_tells_classes(land_cover):
    land = Strata.from_raster(land_cover)
    assert land.names == ("10", "20", "30")
    x = np.array([505_050.0, 505_050, 505_050, 500_050, 499_000, np.inf])
    y = np.array([5_009_950.0, 5_002_050, 5_000_050, 5_009_950, 5_005_000, np.inf])
    found = land.at(x, y)
    assert [land.names[code] for code in found[:3]] == ["10", "20", "30"]
    assert found[3:].tolist() == [-1, -1, -1]


def test_a_large_raster_is_decimated(land_cover, monkeypatch):
    monkeypatch.setattr(strata_module, "SIDE", 20)
    land = Strata.from_raster(land_cover)
    assert land.codes.shape == (20, 20)
    assert land.names[land.at(np.array([505_050.0]), np.array([5_000_050.0]))[0]] == "30"


def test_polygons_tell_classes(tmp_path):
    frame = gpd.GeoDataFrame(
        {"biome": ["taiga", "steppe", "taiga"]},
        geometry=[box(0, 0, 10, 10), box(10, 0, 20, 5), box(30, 0, 40, 10)],
        crs="EPSG:4326",
    )
    frame.to_file(tmp_path / "biomes.gpkg")
    land = Strata.from_vector(tmp_path / "biomes.gpkg", "biome")
    assert land.crs == CRS("EPSG:4326")
    found = land.at(np.array([5.0, 15, 35, 15, 50]), np.array([5.0, 2, 5, 8, 5]))
    assert [land.names[code] if code >= 0 else None for code in found] == [
        *("taiga", "steppe", "taiga"),
        *(None, None),
    ]
    with pytest.raises(ValueError, match="'realm' among its columns biome, geometry"):
        Strata.from_vector(tmp_path / "biomes.gpkg", "realm")


def test_classes_are_drawn_equally_often(land_cover, caplog):
    land = Strata.from_raster(land_cover)
    with caplog.at_level(logging.INFO):
        sampler = RandomWindowSampler(
            AREA, 100, 6000, (1, 1, 0, 0), strata=land, crs=CRS("EPSG:32631"), min_valid=1
        )
    windows = [(x.start, y.start, x.stop, y.stop) for x, y in sampler]
    found = classes_of(windows, land)
    assert (found >= 0).all()
    share = np.bincount(found) / len(found)
    np.testing.assert_allclose(share, 1 / 3, atol=0.04)
    assert "10: 6" in caplog.text
    assert "30: " in caplog.text
    shown = caplog.text.split("30: ")[1].split("%")[0]
    assert float(shown) == pytest.approx(5, abs=0.7)


def test_a_rare_class_has_a_bounded_price(write_raster):
    classes = np.ones((1, 200, 200), dtype=np.uint8)
    classes[:, :, 100:] = 2
    classes[:, 0:8, 0:10] = 3  # 0.2 %
    path = write_raster("classes.tif", classes, (500_000, 5_010_000), 50.0)
    sampler = RandomWindowSampler(
        AREA, 50, 4000, (1, 1, 0, 0), strata=Strata.from_raster(path), crs=CRS("EPSG:32631"), min_valid=1
    )
    windows = [(x.start, y.start, x.stop, y.stop) for x, y in sampler]
    share = np.bincount(classes_of(windows, Strata.from_raster(path)), minlength=3) / 4000
    # Accepted at the pace of a class of 1 %: 0.2 % against 1 % of each of the others.
    np.testing.assert_allclose(share, [1 / 2.2, 1 / 2.2, 0.2 / 2.2], atol=0.04)


def test_windows_of_pairs_in_many_crss_are_balanced(make_pairs, tmp_path):
    frame = gpd.GeoDataFrame(
        {"country": ["a", "b"]}, geometry=[box(2, 40, 6, 50), box(14, 40, 18, 50)], crs=4326
    )
    frame.to_file(tmp_path / "countries.gpkg")
    small, large = box(500_000, 5e6, 503_000, 5.003e6), box(500_000, 5e6, 512_000, 5.012e6)
    pairs = make_pairs([small, large, large], ["EPSG:32631", "EPSG:32633", "EPSG:32640"])
    land = Strata.from_vector(tmp_path / "countries.gpkg", "country")
    sampler = PairWindowSampler(pairs, 300, 4000, strata=land)
    chosen = np.bincount([window.pair for window in sampler], minlength=3) / 4000
    np.testing.assert_allclose(chosen, [0.5, 0.5, 0], atol=0.05)  # the third lies in no country
    assert list(sampler) == list(PairWindowSampler(pairs, 300, 4000, strata=land))


def test_ground_without_a_class_is_refused(write_raster):
    path = write_raster("far.tif", np.ones((1, 5, 5), dtype=np.uint8), (0, 0), 100.0)
    with pytest.raises(ValueError, match=r"None of 20000 windows lies on a class of the strata \(1\)"):
        RandomWindowSampler(
            AREA, 100, 10, (1, 1, 0, 0), strata=Strata.from_raster(path), crs=CRS("EPSG:32631")
        )


def test_maps_that_hold_no_classes(write_raster, land_cover):
    heights = np.arange(10_000, dtype=np.uint16).reshape(1, 100, 100)
    with pytest.raises(ValueError, match="holds 10000 values: no map of classes"):
        Strata.from_raster(write_raster("heights.tif", heights))
    with pytest.raises(ValueError, match=r"give the windows' one too \(crs\)"):
        RandomWindowSampler(AREA, 100, 10, (1, 1, 0, 0), strata=Strata.from_raster(land_cover))


def test_without_strata_nothing_changes():
    sampler = RandomWindowSampler(shapely.box(0, 0, 3000, 3000), 300, 3, (30.0, 30.0, 7.0, 11.0))
    first = next(iter(sampler))
    rng = np.random.default_rng(np.random.SeedSequence([0, 0]))
    windows = sampler.propose(rng)
    assert (first[0].start, first[1].start) == tuple(windows[0, :2])
