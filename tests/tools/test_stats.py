import numpy as np
import pytest

from xstars_lightning.sensors import resolve_sensors
from xstars_lightning.tools.stats import stats


def test_what_was_measured_can_be_named_in_a_recipe(two_sensors, tmp_path, capsys):
    out = tmp_path / "high.yaml"
    stats([str(two_sensors / "high")], "spot_rgb", str(out), workers=2)
    assert "522,500 valid pixels of 1 files, 7.11% invalid" in " ".join(capsys.readouterr().out.split())
    first = out.read_text().splitlines()[0]
    assert first.startswith("# Measured by `xstars stats` on ")
    assert first.endswith("high: 1 files, sample 1, 522500 valid pixels.")
    sensor = resolve_sensors({"high": str(out)})["high"]
    assert (sensor.name, sensor.resolution) == ("spot_rgb", 1.5)
    assert sensor.mean == pytest.approx([127.5 / 255] * 3, abs=1e-3)
    assert sensor.std == pytest.approx([254 / 12**0.5 / 255] * 3, abs=1e-3)
    stats([str(two_sensors / "low")], str(out), str(out))
    assert resolve_sensors({"high": str(out)})["high"].mean != sensor.mean


def test_nothing_is_left_of_a_file_that_cannot_be_used(write_raster, tmp_path):
    black = write_raster("black.tif", np.zeros((3, 16, 16), np.uint8), nodata=0)
    flat = write_raster("flat.tif", np.ones((3, 16, 16), np.uint8))
    out = tmp_path / "own.yaml"
    out.write_text("as it was")
    with pytest.raises(ValueError, match="none of the 256 pixels read is valid"):
        stats([str(black)], "spot_rgb", str(out))
    with pytest.raises(ValueError, match="red, green, blue of sensor 'spot_rgb' have one value everywhere"):
        stats([str(flat)], "spot_rgb", str(out))
    assert out.read_text() == "as it was"
    with pytest.raises(FileNotFoundError, match="nowhere"):
        stats([str(tmp_path / "nowhere")], "spot_rgb")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["black.tif", "flat.tif", "own.yaml"]
