"""Real images: Chesapeake patches across sensors, LEVIR-CD samples."""

from pathlib import Path

import pytest

from xstars_lightning.cli import main
from xstars_lightning.evaluation.comparison import read_runs

CONFIGS = Path(__file__).parents[2] / "configs"
QUIET = ["--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false", "--trainer.logger=false"]

pytestmark = pytest.mark.filterwarnings(
    "ignore:No weights given", "ignore:.*num_workers", "ignore:.*no pixel of"
)


def run(config, folder, *options):
    main(["test", f"--config={CONFIGS}/{config}.yaml", f"--model.output_dir={folder}", *QUIET, *options])
    (report,) = read_runs([str(folder)]).values()
    return report


def test_a_probe_fitted_on_landsat_reads_naip(real_data, tmp_path):
    options = [f"--data.root={real_data / 'chesapeake_patches'}", "--model.resolutions=[1.0, 0.5]"]
    report = run("chesapeake_cover", tmp_path, *options)
    assert report["images"] == {"train": 6, "val": 2, "test": 8}
    assert (report["sensor"]["name"], report["test_sensor"]["name"]) == ("landsat_c1_rgb", "naip_rgb")
    (score,) = report["segmentation_probe"][0]["scores"]
    assert sum(map(sum, score["confusion"])) > 0.99 * 8 * 256**2
    assert score["iou"]["tree canopy and forest"] > 0.5  # it covers 73 %
    (coarse,) = report["resolutions"]["0.5"]["segmentation_probe"][0]["scores"]
    assert sum(map(sum, coarse["confusion"])) == sum(map(sum, score["confusion"]))
    assert coarse["confusion"] != score["confusion"]


def test_change_of_buildings(real_data, tmp_path):
    data = [f"--data.root={real_data / 'cd_samples' / 'levir'}", "--data.options={skip_unlabelled: true}"]
    with pytest.warns(UserWarning, match=r"Left out: 1 files .* only: test_113_0256\.png"):
        report = run("levircd", tmp_path, *data, "--model.fractions=[1.0]")
    assert report["images"] == {"train": 3, "val": 1, "test": 7}
    (score,) = report["segmentation_probe"][0]["scores"]
    assert score["iou"]["no change"] > 0.6
    assert (tmp_path / "segmentation.png").is_file()
