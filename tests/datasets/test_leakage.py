import geopandas as gpd
import numpy as np
import pytest
import shapely

from xstars_lightning.datasets.leakage import find_leakage
from xstars_lightning.datasets.scene_outlines import read_outlines


def scenes(*boxes, crs="EPSG:4326"):
    geometry = [shapely.box(*box) if isinstance(box, tuple) else box for box in boxes]
    return gpd.GeoDataFrame({"name": [f"{n}" for n in range(len(boxes))]}, geometry=geometry, crs=crs)


def test_area_names_and_number_of_what_is_shared():
    """On the equator a degree is 111.3 km by 110.6 km."""
    found = find_leakage(scenes((0.5, 0, 2, 1), (0.25, 0, 0.75, 1)), scenes((0, 0, 1, 1), (5, 5, 6, 6)))
    square = 111.32 * 110.58
    assert (found.overlapping, found.scenes) == (1, 2)
    assert list(zip(found.pairs["downstream"], found.pairs["pretraining"], strict=True)) == [
        ("0", "0"),
        ("0", "1"),
    ]
    assert found.pairs["km2"].tolist() == pytest.approx([0.5 * square, 0.5 * square], rel=1e-3)
    assert found.shared_km2 == pytest.approx(0.75 * square, rel=1e-3)
    assert found.km2 == pytest.approx(2 * square, rel=1e-2)
    np.testing.assert_allclose(found.pairs.total_bounds, (0.25, 0, 1, 1), atol=1e-6)


def test_neighbours_share_nothing():
    found = find_leakage(scenes((1, 0, 2, 1), (1, 1, 2, 2)), scenes((0, 0, 1 + 1e-6, 1)))
    assert (found.overlapping, found.shared_km2, len(found.pairs)) == (0, 0, 0)


def test_a_small_scene_within_a_large_one_counts_either_way():
    large, small = scenes((-20, 30, 20, 60)), scenes((3, 40, 3.01, 40.01))
    assert find_leakage(large, small).shared_km2 == pytest.approx(find_leakage(small, large).shared_km2)
    assert find_leakage(large, small).overlapping == 1


def test_outlines_decide_and_not_boxes():
    """Two triangles in one box, on either side of its diagonal."""
    lower, upper = shapely.Polygon([(0, 0), (1, 0), (0, 1)]), shapely.Polygon([(1, 1), (1, 0.1), (0.1, 1)])
    assert find_leakage(scenes(lower), scenes(upper)).overlapping == 0


def test_the_antimeridian_does_not_break_it(write_raster):
    """A scene in UTM zone 1 that reaches across, and scenes in zone 60 on either side of 180 degrees."""
    ones = np.ones((1, 100, 100), np.uint8)
    across = write_raster("across.tif", ones, (230_000, 5_500_000), res=1000.0, crs="EPSG:32601")
    west = write_raster("west.tif", ones, (680_000, 5_490_000), res=200.0, crs="EPSG:32660")
    east = write_raster("east.tif", ones, (740_000, 5_490_000), res=200.0, crs="EPSG:32660")
    far = write_raster("far.tif", ones, (400_000, 5_490_000), res=200.0, crs="EPSG:32631")
    found = find_leakage(read_outlines([str(across)]), read_outlines([str(west), str(east), str(far)]))
    assert found.pairs["downstream"].tolist() == [str(west), str(east)]
    assert found.pairs["km2"].tolist() == pytest.approx([400, 400], rel=5e-3)
    assert found.pairs.bounds["minx"].abs().min() > 179


def test_only_valid_pixels_are_ground(write_raster):
    pixels = np.ones((3, 100, 100), np.uint8)
    pixels[:, :, :50] = 0
    half = write_raster("half.tif", pixels, (600_000, 5_000_000), nodata=0)
    dark = write_raster("dark.tif", np.ones((1, 100, 50), np.uint8), (600_000, 5_000_000))
    found = find_leakage(read_outlines([str(half)]), read_outlines([str(dark)]))
    assert (found.overlapping, found.pretraining_km2) == (0, pytest.approx(0.5, rel=2e-3))


@pytest.mark.parametrize("ending", [".parquet", ".gpkg", ".geojson"])
def test_catalogues_and_vector_files_are_read(tmp_path, ending):
    path = tmp_path / f"scenes{ending}"
    frame = scenes((500_000, 5_000_000, 510_000, 5_010_000), crs="EPSG:32631")
    frame = frame.rename(columns={"name": "location"}) if ending == ".parquet" else frame.drop(columns="name")
    (frame.to_parquet if ending == ".parquet" else frame.to_file)(path)
    found = read_outlines([str(path)])
    assert found["name"].tolist() == ["0" if ending == ".parquet" else f"scenes{ending}: feature 0"]
    assert found.total_bounds[:2] == pytest.approx((3, 45.15), abs=0.01)


def test_files_that_say_not_where_they_lie(tmp_path, write_raster):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.gpkg"):
        read_outlines([str(tmp_path / "nowhere.gpkg")])
    gpd.GeoDataFrame(geometry=[shapely.Point(0, 0)], crs="EPSG:4326").to_file(tmp_path / "points.gpkg")
    with pytest.raises(ValueError, match=r"points\.gpkg holds points"):
        read_outlines([str(tmp_path / "points.gpkg")])
    path = write_raster("lost.tif", np.ones((1, 4, 4), np.uint8), crs=None)
    with pytest.raises(ValueError, match=r"lost\.tif has no coordinate reference system"):
        read_outlines([str(path)])


def test_a_product_without_images_is_named(tmp_path):
    folder = tmp_path / "S2A_MSIL2A_20220115T105401_N0400_R051_T31TFJ_20220115T125521.SAFE"
    folder.mkdir()
    with pytest.raises(ValueError, match=r"T125521\.SAFE holds no image.*Download it again"):
        read_outlines([str(tmp_path)])
