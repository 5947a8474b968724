import geopandas as gpd
import numpy as np
import pytest
import shapely

from xstars_lightning.tools.leakage import leakage


@pytest.fixture
def folders(write_raster):
    """A folder of two scenes, and a vector file of test areas, one of which lies on the first scene."""
    ones = np.ones((3, 100, 100), np.uint8)
    for column in range(2):
        path = write_raster(f"scenes/{column}.tif", ones, (600_000 + 1000 * column, 5_000_000))
    areas = [
        shapely.box(600_100, 4_999_100, 600_600, 4_999_600),
        shapely.box(700_000, 4_999_000, 701_000, 5e6),
    ]
    frame = gpd.GeoDataFrame({"name": ["near", "far"]}, geometry=areas, crs="EPSG:32631")
    frame.to_file(path.parents[1] / "areas.gpkg")
    return path.parents[1]


@pytest.mark.parametrize("ending", [".gpkg", ".geojson", ".parquet"])
def test_what_is_shared_is_told_and_written(folders, ending, capsys):
    out = folders / f"overlap{ending}"
    with pytest.raises(SystemExit) as ended:
        leakage([str(folders / "scenes")], [str(folders / "areas.gpkg")], str(out), fail=True)
    assert ended.value.code == 1
    said = capsys.readouterr().out
    assert "1 of 2 downstream scenes share ground with pretraining: 0.25 km², 2" in said
    assert "% of their area" in said
    assert "near" in said
    assert "far " not in said
    frame = (gpd.read_parquet if ending == ".parquet" else gpd.read_file)(out)
    assert frame["pretraining"].tolist() == [str(folders / "scenes" / "0.tif")]
    assert frame.to_crs("EPSG:32631").area.sum() == pytest.approx(250_000, rel=2e-3)


def test_without_overlap_all_is_well(folders, capsys):
    frame = gpd.read_file(folders / "areas.gpkg")
    frame[frame["name"] == "far"].to_file(folders / "far.gpkg")
    out = folders / "overlap.gpkg"
    leakage([str(folders / "scenes")], [str(folders / "far.gpkg")], str(out), fail=True)
    assert "No downstream scene shares ground" in capsys.readouterr().out
    assert len(gpd.read_file(out)) == 0


def test_an_ending_that_no_format_has(folders):
    with pytest.raises(ValueError, match=r"overlap\.txt.*\.gpkg, \.geojson, \.parquet"):
        leakage([str(folders / "scenes")], [str(folders / "areas.gpkg")], "overlap.txt")
