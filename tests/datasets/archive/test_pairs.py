from dataclasses import fields, replace

import geopandas as gpd
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyproj import CRS, Transformer
from shapely import box

from xstars_lightning.datasets.archive.fingerprint import fingerprint
from xstars_lightning.datasets.archive.geoparquet import read_index, write_index
from xstars_lightning.datasets.archive.joining import join
from xstars_lightning.datasets.archive.pairs import Pairs


@pytest.fixture
def indexes(make_footprints):
    """Scenes of two sensors in two zones and across the antimeridian."""
    x, y = Transformer.from_crs("EPSG:4326", "EPSG:32601", always_xy=True).transform(180.0, 65.0)
    rows = [
        (box(500_000, 5e6, 510_000, 5.01e6), "EPSG:32631", "2020-01-01"),
        (box(400_000, 5e6, 410_000, 5.01e6), "EPSG:32633", "2020-01-03"),
        (box(x - 5000, y, x + 5000, y + 9000), "EPSG:32601", None),
    ]
    late = [(outline, crs, "2020-01-09") for outline, crs, _ in rows]
    return {"high": make_footprints(rows, res=2), "low": make_footprints(late, res=10)}


def test_a_file_gives_back_all_that_was_written(indexes, tmp_path):
    pairs = join(indexes)
    pairs.write(tmp_path / "new" / "pairs.parquet")
    back = Pairs.read(tmp_path / "new" / "pairs.parquet")
    for field in fields(Pairs):
        one, other = getattr(pairs, field.name), getattr(back, field.name)
        if isinstance(one, np.ndarray):
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)
        else:
            assert one == other, field.name
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["pairs.parquet"]


def test_the_file_is_a_map_in_degrees_cut_at_the_antimeridian(indexes, tmp_path):
    pairs = join(indexes)
    pairs.write(tmp_path / "pairs.parquet")
    frame = gpd.read_parquet(tmp_path / "pairs.parquet")
    assert frame.crs == CRS("OGC:CRS84")
    assert frame.geometry.name == "geometry"
    over = frame.geometry[frame["days"].isna()].iloc[0]
    assert sorted(part.bounds[0::2] for part in over.geoms) == [
        (-180, pytest.approx(-179.9, abs=0.03)),
        (pytest.approx(179.9, abs=0.03), 180),
    ]
    for number, outline in enumerate(pairs.outlines(slice(None))):
        crs = pairs.crs[pairs.crs_of[number]]
        if crs.to_epsg() == 32601:
            continue
        again = gpd.GeoSeries([frame.geometry[number]], crs=4326).to_crs(crs)[0]
        assert again.symmetric_difference(outline).area < 1e-3 * outline.area


def test_ground_has_area_and_days(indexes):
    ground = join(indexes).ground()
    assert ground.crs == CRS("EPSG:4326")
    assert sorted(ground.km2) == pytest.approx([90, 100, 100])
    assert sorted(ground.days.dropna()) == [6, 8]


def test_a_stale_file_is_noticed(indexes, tmp_path):
    pairs = join(indexes, max_days=None, match="all")
    pairs.write(tmp_path / "pairs.parquet")
    inputs = fingerprint(indexes, None, None, "all", None)
    assert len(Pairs.read(tmp_path / "pairs.parquet", inputs)) == len(pairs)
    other = fingerprint(indexes | {"low": indexes["low"].take([0, 1])}, None, None, "all", None)
    with pytest.raises(ValueError, match=r"pairs.parquet was made of other indexes, or with other options"):
        Pairs.read(tmp_path / "pairs.parquet", other)


def test_the_fingerprint_is_of_rows_not_of_buffers(indexes):
    part = indexes["low"].take([1, 2])
    shifted = indexes["low"].take([0, 1, 2]).take(slice(1, 3))
    assert fingerprint({"low": part}) == fingerprint({"low": shifted})
    assert fingerprint({"low": part}) != fingerprint({"low": indexes["low"].take([2, 1])})


def test_options_written_in_another_way_are_the_same(indexes):
    first = fingerprint(indexes, max_days=10, min_sensors=None)
    assert first == fingerprint(indexes, max_days=10.0, min_sensors=2)
    assert first != fingerprint(indexes, max_days=10.5)
    assert first != fingerprint(indexes, max_days=10, min_sensors=1)
    assert join(indexes).inputs == join(indexes, min_sensors=2).inputs == fingerprint(indexes)


def test_an_archive_that_moved_with_its_indexes_keeps_its_pairs(indexes, tmp_path):
    def written(folder, *names):
        folder.mkdir()
        paths = pa.array([str(folder / "scenes" / name) for name in names], pa.large_string())
        write_index(replace(indexes["low"], path=paths), folder / "low.parquet")

    written(tmp_path / "old", "a.tif", "b.tif", "c.tif")
    before = read_index(tmp_path / "old" / "low.parquet")
    (tmp_path / "old").rename(tmp_path / "new")
    after = read_index(tmp_path / "new" / "low.parquet")
    assert before.path[0].as_py() != after.path[0].as_py()
    assert fingerprint({"low": before}) == fingerprint({"low": after})
    written(tmp_path / "other", "a.tif", "b.tif", "d.tif")
    assert fingerprint({"low": read_index(tmp_path / "other" / "low.parquet")}) != fingerprint({"low": after})


@pytest.mark.parametrize("content", [b"", b"not a table", b"PAR1" * 100])
def test_a_broken_file_is_named_with_what_to_do(tmp_path, content):
    (tmp_path / "pairs.parquet").write_bytes(content)
    with pytest.raises(ValueError, match=r"pairs\.parquet is no Parquet file, or a broken one: .*Remove it"):
        Pairs.read(tmp_path / "pairs.parquet")
    with pytest.raises(FileNotFoundError):
        Pairs.read(tmp_path / "none.parquet")


def test_another_file_holds_no_pairs(indexes, tmp_path):
    join(indexes).write(tmp_path / "pairs.parquet")
    table = pq.ParquetFile(tmp_path / "pairs.parquet").read()
    pq.write_table(table.replace_schema_metadata(), tmp_path / "a")
    with pytest.raises(ValueError, match="holds no pairs"):
        Pairs.read(tmp_path / "a")


def test_unknown_differences_are_counted(indexes):
    assert join(indexes).describe_times().endswith("greatest 8; unknown for 1 of 3 pairs.")
    some = {key: index.take([2]) for key, index in indexes.items()}
    assert join(some).describe_times() == "Days between scenes: unknown for 1 of 1 pairs."
