"""The tools, and `preview`, as they are called on the command line."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
import yaml

from xstars_lightning.cli import main
from xstars_lightning.sensors import get_sensor
from xstars_lightning.tools.commands import TOOLS, run_tool, tool_parser

CONFIG = f"--config={Path(__file__).parents[2]}/configs/pretrain.yaml"


def test_paths_lists_and_switches():
    found = tool_parser("stats").parse_args(["a", "b", "--sensor", "spot_rgb", "--sample", "0.5"])
    assert (found.paths, found.sensor, found.sample, found.out) == (["a", "b"], "spot_rgb", 0.5, None)
    arguments = ["--pretraining", "a.parquet", "b", "--downstream", "c", "--fail"]
    found = tool_parser("leakage").parse_args(arguments)
    assert (found.pretraining, found.downstream, found.fail) == (["a.parquet", "b"], ["c"], True)
    assert tool_parser("index").parse_args(["a", "--no_outlines"]).outlines is False


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["stats", "a", "--sensr=spot_rgb"], "sensr"),
        (["stats", "a", "--sensor=spot_rgb", "--sampl=1"], "sampl"),
        (["stats", "a", "--sensor=spot_rgb", "--sample=all"], "sample"),
        (["leakage", "--pretraining", "a"], "downstream"),
        (["stat", "a"], "stats"),
        (["preview", CONFIG, "--windws=3"], "windws"),
    ],
)
def test_misspelt_and_missing_arguments_are_errors(arguments, words, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code != 0
    assert words in capsys.readouterr().err


def test_help_lists_the_tools_and_each_explains_itself(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "Print and draw what a run would see." in said
    for name in TOOLS:
        assert f" {name} " in said
        assert "--help" in tool_parser(name).format_help()
    assert "Compare the ground of pretraining with that of a downstream dataset." in said


def test_an_error_of_a_tool_is_one_message(tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["stats", str(tmp_path / "nowhere"), "--sensor=spot_rgb"])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("xstars stats: No such folder or file")
    assert said.count("\n") == 1


def test_a_mistake_of_ours_keeps_its_traceback(monkeypatch):
    def broken(paths: list[str]) -> None:
        raise KeyError("ours")

    monkeypatch.setitem(TOOLS, "stats", broken)
    with pytest.raises(KeyError, match="ours"):
        run_tool("stats", ["a"])


@pytest.mark.filterwarnings("ignore:Dataset has no geotransform")
def test_a_file_without_a_place_is_named_without_warnings(tmp_path):
    path = tmp_path / "lost.tif"
    with rasterio.open(path, "w", driver="GTiff", count=3, height=8, width=8, dtype="uint8") as file:
        file.write(np.ones((3, 8, 8), np.uint8))
    options = ["--sensor=spot_rgb", f"--out={tmp_path}/i.parquet"]
    command = [sys.executable, "-m", "xstars_lightning.cli", "index", str(path), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert done.stderr.startswith(f"xstars index: {path} has no coordinate reference system")
    assert done.stderr.count("\n") == 1


def test_measured_statistics_are_previewed_without_a_model(two_sensors, tmp_path, capsys, monkeypatch):
    """From `stats` to `preview`: a sensor file in place of a name of the catalogue."""
    monkeypatch.setattr(sys, "argv", ["xstars"])
    monkeypatch.setattr("xstars_lightning.tools.preview_facts.SECONDS", 0)
    monkeypatch.chdir(tmp_path)
    main(["stats", str(two_sensors / "high"), "--sensor=spot_rgb", "--out=high.yaml"])
    recipe = {"paths": {key: str(two_sensors / key) for key in ("high", "low")}, "window": 240.0}
    recipe |= {"sensors": {"high": "spot_rgb", "low": "sentinel2_rgb"}, "batch_size": 4}
    data = {"class_path": "CrossSensorDataModule", "init_args": recipe}
    Path("data.yaml").write_text(yaml.safe_dump(data))
    options = ["--data=data.yaml", "--data.sensors.high=high.yaml", "--model.backbone=resnet18"]
    main(["preview", CONFIG, *options, "--windows=4", "--out=seen.png"])
    said = capsys.readouterr().out
    assert "Sensor 'low': its pixels are far from the declared statistics" in said
    assert "Sensor 'high'" not in said
    assert f"{get_sensor('high.yaml').mean[0]:.4f}" in said.rpartition("Statistics")[2]
    assert {path.name for path in tmp_path.glob("*.*")} >= {"seen.png", "high.yaml"}
    assert not (tmp_path / "runs").exists()
