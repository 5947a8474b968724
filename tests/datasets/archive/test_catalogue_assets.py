"""Which asset of a STAC catalogue is read."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely

from xstars_lightning.datasets.archive.geoparquet import read_index, write_index
from xstars_lightning.tools.commands import run_tool

TIFF = "image/tiff; application=geotiff; profile=cloud-optimized"


def asset(name, bands=None, field="eo:bands", kind=TIFF, roles=("data",)):
    """An asset with links, a type and roles, and bands if their number is given."""
    said = {"href": f"s3://bucket/{name}", "type": kind, "roles": list(roles)}
    return said | ({} if bands is None else {field: [{"name": f"{name}{n}"} for n in range(bands)]})


@pytest.fixture
def catalogue(tmp_path):
    """Write a stac-geoparquet file of one scene with the assets given, and return its path."""

    def write(**assets):
        columns = {
            "geometry": pa.array(shapely.to_wkb(np.array([shapely.box(2, 45, 2.1, 45.1)])), pa.binary()),
            "assets": pa.array([assets]),
        }
        geo = {"version": "1.1.0", "primary_column": "geometry"}
        geo["columns"] = {"geometry": {"encoding": "WKB", "geometry_types": []}}
        path = tmp_path / "c.parquet"
        pq.write_table(pa.table(columns).replace_schema_metadata({"geo": json.dumps(geo)}), path)
        return path

    return write


def test_the_asset_called_visual_is_read_beside_bands(catalogue):
    path = catalogue(B02=asset("B02"), B03=asset("B03"), visual=asset("TCI"))
    assert read_index(path).path.to_pylist() == ["s3://bucket/TCI"]


@pytest.mark.parametrize("field", ["eo:bands", "bands", "raster:bands"])
def test_the_asset_with_the_sensors_number_of_bands_is_read(catalogue, field):
    path = catalogue(
        B02=asset("B02", 1, field), stack=asset("stack", 4, field), visual=asset("TCI", 3, field)
    )
    assert read_index(path, bands=4).path.to_pylist() == ["s3://bucket/stack"]
    assert read_index(path, bands=3).path.to_pylist() == ["s3://bucket/TCI"]


def test_an_asset_with_other_bands_is_not_read_for_its_name(catalogue):
    path = catalogue(B02=asset("B02", 1), B03=asset("B03", 1), visual=asset("TCI", 3))
    with pytest.raises(ValueError, match="not clear"):
        read_index(path, bands=4)


def test_thumbnails_and_metadata_are_no_rasters(catalogue):
    assets = {
        "thumbnail": asset("t", kind="image/png", roles=["overview"]),
        "image": asset("a", roles=["visual"]),
        "info": asset("i", kind="application/xml", roles=["metadata"]),
        "data": asset("d", kind="application/json", roles=["other"]),
    }
    assert read_index(catalogue(**assets)).path.to_pylist() == ["s3://bucket/a"]


def test_bands_alone_are_refused_with_the_assets_and_the_option(catalogue):
    path = catalogue(B02=asset("B02"), B03=asset("B03"))
    with pytest.raises(ValueError, match=r"--asset NAME --out.*a band each are not read as one") as error:
        read_index(path)
    assert "assets B02, B03" in str(error.value)


def test_an_asset_may_be_named(catalogue, tmp_path):
    path = catalogue(B02=asset("B02"), B03=asset("B03"), visual=asset("TCI"))
    assert read_index(path, "B03").path.to_pylist() == ["s3://bucket/B03"]
    out = str(tmp_path / "i.parquet")
    run_tool("index", [str(path), "--asset", "B02", "--out", out])
    assert read_index(out).path.to_pylist() == ["s3://bucket/B02"]
    with pytest.raises(ValueError, match=r"no asset 'B04'; it has B02, B03, visual"):
        read_index(path, "B04")


def test_the_command_chooses_by_the_sensors_bands(catalogue, tmp_path):
    path = catalogue(B02=asset("B02", 1), stack=asset("stack", 3), other=asset("other", 4))
    out = str(tmp_path / "i.parquet")
    run_tool("index", [str(path), "--sensor", "sentinel2_rgb", "--out", out])
    assert read_index(out).path.to_pylist() == ["s3://bucket/stack"]


def test_an_index_of_ours_has_no_assets(catalogue, tmp_path):
    write_index(read_index(catalogue(data=asset("a"))), tmp_path / "i.parquet")
    with pytest.raises(ValueError, match="has no assets"):
        read_index(tmp_path / "i.parquet", "data")
