import logging
from dataclasses import replace

import geopandas as gpd
import numpy as np
import pytest
import shapely
from pyproj import CRS, Transformer
from shapely import box

from xstars_lightning.datasets.archive.dataset import ArchiveDataset
from xstars_lightning.datasets.archive.geoparquet import read_index
from xstars_lightning.datasets.archive.joining import finest_sensor, join
from xstars_lightning.datasets.archive.lonlat import to_lonlat
from xstars_lightning.datasets.archive.pairs import PairWindow
from xstars_lightning.sensors import Sensor

UTM = "EPSG:32631"


def square(x, y, side=1000.0):
    return box(x, y, x + side, y + side)


@pytest.fixture
def tiles(make_footprints):
    """Three tiles of 1 km, and three of 1 km that are shifted by 400 m east and north of the first."""
    places = [(500_000, 5_000_000), (501_000, 5_000_000), (520_000, 5_000_000)]
    days = ["2020-01-10", "2020-01-10", "2020-01-10"]
    high = make_footprints([(square(*at), UTM, day) for at, day in zip(places, days, strict=True)], res=2)
    low = make_footprints(
        [(square(x + 400, y + 400), UTM, day) for (x, y), day in zip(places, days, strict=True)], res=10
    )
    return {"low": low, "high": high}


def found(pairs):
    """Area in square metres by the rows of a pair."""
    return {tuple(rows): round(area, 3) for rows, area in zip(pairs.rows.tolist(), pairs.area, strict=True)}


def test_pairs_are_the_scenes_that_share_ground_exactly(tiles):
    pairs = join(tiles)
    assert pairs.sensors == ("low", "high")
    assert found(pairs) == {(0, 0): 360_000, (0, 1): 240_000, (1, 1): 360_000, (2, 2): 360_000}
    row = pairs.rows.tolist().index([0, 1])
    assert pairs.outlines(np.array([row]))[0].equals(box(501_000, 5_000_400, 501_400, 5_001_000))
    assert pairs.bounds[row].tolist() == [501_000, 5_000_400, 501_400, 5_001_000]
    assert pairs.crs[pairs.crs_of[row]] == CRS(UTM)


def test_the_finest_sensor_gives_the_crs_and_may_be_named(tiles, make_footprints):
    x, y = Transformer.from_crs(UTM, "EPSG:32632", always_xy=True).transform(500_500, 5_000_500)
    low = make_footprints([(square(x - 5000, y - 5000, 10_000), "EPSG:32632", "2020-01-01")])
    indexes = {"high": tiles["high"], "low": low}
    assert {crs.to_epsg() for crs in np.array(join(indexes).crs)[join(indexes).crs_of]} == {32631}
    named = join(indexes, finest="low")
    assert {named.crs[crs].to_epsg() for crs in named.crs_of} == {32632}
    # Six degrees off its meridian, at 45 north, UTM stretches lengths by 1 + (0.1047 cos 45)^2 / 2 = 1.00274.
    assert named.area.sum() == pytest.approx(1.00274**2 * join(indexes).area.sum(), rel=1e-4)


def test_ground_of_another_zone_is_exact_to_a_millimetre_where_edges_bend(make_footprints):
    outline = square(290_000, 6_600_000, 110_000)
    high = make_footprints([(square(700_000, 6_600_000, 100_000), UTM, None)], res=2)
    low = make_footprints([(outline, "EPSG:32632", None)])
    pairs = join({"high": high, "low": low})
    move = Transformer.from_crs("EPSG:32632", UTM, always_xy=True).transform
    dense = shapely.transform(shapely.segmentize(outline, 100), move, interleaved=False)
    expected = dense.intersection(square(700_000, 6_600_000, 100_000))
    assert pairs.outlines(slice(None))[0].hausdorff_distance(expected) < 0.1 * 2


def test_scenes_in_degrees_get_windows_in_their_utm_zone(make_footprints, tiles):
    degrees = make_footprints([(box(3.0, 45.15, 3.01, 45.16), "EPSG:4326", None)], res=1e-5)
    pairs = join({"fine": degrees, "low": tiles["low"]})
    assert {pairs.crs[crs].to_epsg() for crs in pairs.crs_of} == {32631}
    assert 0 < pairs.area.sum() < 1.2e6


def test_neighbours_across_the_antimeridian_meet(make_footprints):
    move = Transformer.from_crs("EPSG:4326", "EPSG:32601", always_xy=True).transform
    x, y = move(180.0, 65.0)
    here = square(x - 5000, y - 5000, 10_000)
    there = Transformer.from_crs("EPSG:32601", "EPSG:32660", always_xy=True).transform(x, y)
    high = make_footprints([(here, "EPSG:32601", None)], res=2)
    low = make_footprints([(square(there[0] - 4000, there[1] - 4000, 8000), "EPSG:32660", None)])
    assert high.bounds[0, 0] > high.bounds[0, 2]
    assert low.bounds[0, 0] > low.bounds[0, 2]
    pairs = join({"high": high, "low": low})
    assert found(pairs).keys() == {(0, 0)}
    assert pairs.area[0] == pytest.approx(64e6, rel=5e-3)
    far = make_footprints([(square(500_000, y), "EPSG:32630", None)])
    with pytest.raises(ValueError, match="share no ground"):
        join({"high": high, "low": far})


def test_scenes_at_the_pole_meet(make_footprints):
    def polar(side):
        outline = square(2_000_000 - side / 2, 2_000_000 - side / 2, side)
        index = make_footprints([(outline, "EPSG:32661", None)], res=side / 1000)
        bounds = to_lonlat(index.outlines(slice(None)), index.crs_of, index.crs)[1]
        return replace(index, bounds=bounds)

    pairs = join({"high": polar(10_000), "low": polar(30_000)})
    assert pairs.area.tolist() == [1e8]


@pytest.fixture
def dates(make_footprints):
    """One scene, and three of other dates: 40 days before, 5 days after (its west half), a year after."""
    x, y = 500_000, 5_000_000
    high = make_footprints([(square(x, y), UTM, "2020-03-01")], res=2)
    west = box(x, y, x + 500, y + 1000)
    around = square(x - 500, y - 500, 2000)
    rows = [(around, UTM, "2020-01-21"), (west, UTM, "2020-03-06"), (around, UTM, "2021-03-02")]
    return {"high": high, "low": make_footprints(rows)}


def test_the_nearest_date_has_the_ground_first(dates):
    pairs = join(dates, max_days=50)
    assert found(pairs) == {(0, 1): 500_000, (0, 0): 500_000}
    assert sorted(pairs.days) == [5, 40]
    assert found(join(dates, max_days=20)) == {(0, 1): 500_000}
    assert found(join(dates)) == {(0, 1): 500_000, (0, 0): 500_000}


def test_all_dates_have_all_ground(dates):
    assert found(join(dates, max_days=50, match="all")) == {(0, 1): 500_000, (0, 0): 1e6}
    assert len(join(dates, match="all")) == 3


def test_the_same_season_of_another_year_is_near(dates):
    pairs = join(dates, max_days=2, match="season")
    assert found(pairs) == {(0, 2): 1e6}
    assert pairs.days.tolist() == [366]


def test_seasons_meet_at_new_year(make_footprints):
    scene = square(500_000, 5_000_000)
    december = make_footprints([(scene, UTM, "2019-12-30")], res=2)
    january = make_footprints([(scene, UTM, "2022-01-02")])
    assert len(join({"high": december, "low": january}, max_days=4, match="season")) == 1
    with pytest.raises(ValueError, match=r"the nearest are 3.25 days for low"):
        join({"high": december, "low": january}, max_days=3, match="season")


def test_days_count_between_the_ends_of_long_acquisitions(dates):
    high = dates["high"]
    month = replace(high, time=np.array([["2020-02-01", "2020-03-10"]], dtype="datetime64[us]"))
    pairs = join({"high": month, "low": dates["low"]}, max_days=11)
    assert dict(zip(map(tuple, pairs.rows.tolist()), pairs.days, strict=True)) == {(0, 1): 0, (0, 0): 11}


def test_slivers_are_dropped(make_footprints):
    high = make_footprints([(square(500_000, 5_000_000), UTM, None)], res=2)
    touching = [(square(500_999.5, 5_000_000), UTM, None), (square(500_990, 5_000_000), UTM, None)]
    pairs = join({"high": high, "low": make_footprints(touching)}, match="all")
    assert found(pairs) == {(0, 1): 10_000}


def test_three_sensors(tiles, make_footprints):
    third = make_footprints([(square(500_500, 5_000_500), UTM, "2020-02-01")], res=30)
    pairs = join(tiles | {"third": third})
    assert pairs.sensors == ("low", "high", "third")
    assert found(pairs) == {(0, 0, 0): 250_000, (0, 1, 0): 200_000, (1, 1, 0): 50_000}
    assert set(pairs.days) == {22}


def test_a_pair_may_lack_sensors(tiles, make_footprints):
    third = make_footprints([(square(500_500, 5_000_500), UTM, "2020-02-01")], res=30)
    pairs = join(tiles | {"third": third}, min_sensors=2)
    assert found(pairs) == {
        (0, 0, 0): 250_000,
        (0, 0, -1): 110_000,
        (0, 1, 0): 200_000,
        (0, 1, -1): 40_000,
        (1, 1, 0): 50_000,
        (1, 1, -1): 310_000,
        (2, 2, -1): 360_000,
    }
    alone = join(tiles, min_sensors=1)
    assert alone.area.sum() == pytest.approx(3e6)
    assert found(alone)[-1, 2] == 640_000
    assert np.isnan(alone.days[alone.rows[:, 0] < 0]).all()


def test_many_random_outlines_divide_like_one_by_one(make_footprints):
    generator = np.random.default_rng(0)

    def scenes(count, res):
        centres = generator.uniform((500_000, 5_000_000), (520_000, 5_020_000), (count, 2))
        turned = [shapely.Point(at).buffer(2000, quad_segs=1) for at in centres]
        upright = [square(*at, 2500) for at in centres]
        outlines = [*turned[::2], *upright[1::2]]
        days = generator.integers(1, 29, count)
        rows = [(line, UTM, f"2020-02-{day:02d}") for line, day in zip(outlines, days, strict=True)]
        return make_footprints(rows, res)

    high, low = scenes(40, 2), scenes(60, 10)
    pairs = join({"high": high, "low": low})
    ground, others = high.outlines(slice(None)), low.outlines(slice(None))
    assert len({rows[0] for rows in pairs.rows.tolist()}) > 30
    for scene in range(40):
        order = np.argsort(np.abs(low.time[:, 0] - high.time[scene, 0]), kind="stable")
        left, expected = ground[scene], {}
        for other in order:
            got = left.intersection(others[other])
            if got.area >= 1e-3 * min(ground[scene].area, others[other].area):
                expected[scene, int(other)] = pytest.approx(got.area, rel=1e-6)
                left = left.difference(others[other])
        mine = {rows: area for rows, area in found(pairs).items() if rows[0] == scene}
        assert mine == expected


def test_the_log_tells_what_was_joined(dates, caplog):
    with caplog.at_level(logging.INFO):
        join(dates, max_days=50)
    assert "Joined 2 pairs with 1 km2. Days between scenes: least 5, " in caplog.text
    assert "greatest 40; unknown for 0 of 2 pairs" in caplog.text


def test_the_inputs_are_remembered(dates):
    inputs = {join(dates, max_days=50).inputs, join(dates, max_days=50).inputs}
    changed = replace(dates["low"], time=dates["low"].time + np.timedelta64(1, "D"))
    inputs |= {join(dates, max_days=51).inputs, join(dates | {"low": changed}, max_days=50).inputs}
    assert len(inputs) == 3


def test_no_shared_ground_names_the_places(tiles, make_footprints):
    elsewhere = make_footprints([(square(500_000, 3_000_000), UTM, None)])
    with pytest.raises(
        ValueError, match=r"(?s)high and low share no ground.*high: long.* 45.*low: long.* 27"
    ):
        join({"high": tiles["high"], "low": elsewhere})


def test_nothing_near_in_time_names_the_nearest(dates):
    with pytest.raises(ValueError, match=r"within max_days 2 .*the nearest are 5 days for low"):
        join(dates, max_days=2)


def test_an_unknown_date_is_named_where_time_matters(dates):
    times = dates["low"].time.copy()
    times[1] = np.datetime64("NaT", "us")
    indexes = dates | {"low": replace(dates["low"], time=times)}
    with pytest.raises(
        ValueError,
        match=r"^1 and 0 more of the 3 scenes in index.parquet have no date.*`--data.max_days null`",
    ):
        join(indexes, max_days=50)
    with pytest.raises(ValueError, match="have no date"):
        join(indexes, match="season")
    pairs = join(indexes)
    assert found(pairs) == {(0, 0): 1e6}  # known dates come first
    assert np.isnan(join(indexes, match="all").days).sum() == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"finest": "mid"}, "none of the sensors high, low"),
        ({"match": "next"}, "nearest, all or season"),
        ({"max_days": -1}, "must not be negative"),
        ({"min_sensors": 3}, "min_sensors must lie in 1 to 2"),
    ],
)
def test_options_out_of_their_domain(options, message, dates):
    with pytest.raises(ValueError, match=message):
        join(dates, **options)


def test_too_few_sensors_and_unknown_pixels(dates):
    with pytest.raises(ValueError, match="two or more sensors"):
        join({"high": dates["high"]})
    blind = replace(dates["low"], transform=np.full((3, 6), np.nan))
    with pytest.raises(ValueError, match=r"index.parquet says nothing of the pixels of low.*finest"):
        join({"high": dates["high"], "low": blind})
    assert len(join({"high": dates["high"], "low": blind}, finest="high")) == 2


def test_nominal_pixels_tell_the_finest_where_an_index_knows_none(dates):
    blind = replace(dates["low"], transform=np.full((3, 6), np.nan))
    indexes = {"low": blind, "high": dates["high"]}  # of 2 m
    assert finest_sensor(indexes, {"low": 10, "high": 30}) == "high"
    assert finest_sensor(indexes, {"low": 1, "high": 30}) == "low"
    assert finest_sensor(dates, {"low": 1, "high": 30}) == "high"
    with pytest.raises(ValueError, match="says nothing of the pixels of low"):
        finest_sensor(indexes, {"high": 30})


def test_catalogues_without_grids_are_joined_and_read(write_raster, tmp_path):
    band = Sensor("band", ("x",), 5, (0, 1000), (0.5,), (1,), rgb_bands=("x",) * 3)
    sensors = {"coarse": replace(band, resolution=10), "fine": band}
    indexes = {}
    for key, side in (("coarse", 128), ("fine", 256)):
        columns = np.arange(side, dtype=np.uint16) * (1280 // side)  # metres from the western edge
        pixels = np.broadcast_to(columns + 1, (1, side, side))
        write_raster(f"{key}.tif", pixels, (500_000, 5_000_000), 1280 / side)
        outline = gpd.GeoSeries([box(500_000, 4_998_720, 501_280, 5_000_000)], crs=UTM).to_crs(4326)
        frame = gpd.GeoDataFrame({"path": [f"{key}.tif"]}, geometry=outline)
        frame.to_parquet(tmp_path / f"{key}.parquet")
        indexes[key] = read_index(tmp_path / f"{key}.parquet")
    finest = finest_sensor(indexes, {key: sensor.resolution for key, sensor in sensors.items()})
    pairs = join(indexes, finest)
    assert (finest, len(pairs)) == ("fine", 1)
    assert pairs.area[0] == pytest.approx(1280**2, rel=1e-3)
    dataset = ArchiveDataset(indexes, sensors, pairs)
    assert dataset.resolutions == {"coarse": 10, "fine": 5}
    sample = dataset[PairWindow(0, 500_200, 4_999_200, 500_400, 4_999_400)]
    assert sample["image_fine"].shape == (1, 40, 40)
    assert sample["image_coarse"].shape == (1, 20, 20)
    assert sample["valid_fine"].all()
    assert sample["valid_coarse"].all()
    np.testing.assert_allclose(sample["image_fine"][0, 0, ::2] * 1000, np.arange(201, 401, 10), atol=1e-3)
    np.testing.assert_allclose(sample["image_coarse"][0, 0] * 1000, np.arange(201, 401, 10), atol=1e-3)
