"""Real images: the hundred chips of EuroSAT with 13 bands."""

from pathlib import Path

from xstars_lightning.cli import main
from xstars_lightning.evaluation.comparison import read_runs

ROOT = Path(__file__).parents[2]
QUIET = ["--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false", "--trainer.logger=false"]


def test_a_sample_of_eurosat_with_its_bands_is_scored(real_data, tmp_path):
    command = ["test", f"--config={ROOT}/configs/eurosat_ms.yaml"]
    command += [f"--data={ROOT}/datamodules/eurosat_ms_100.yaml"]
    command += [f"--data.root={real_data / 'eurosat_ms_100'}", "--model.weights=random-convolution"]
    command += ["--model.fractions=[1.0]", "--model.shots=[1, 5]", "--model.k=5", "--model.image_size=64"]
    main([*command, f"--model.output_dir={tmp_path}", *QUIET])
    (report,) = read_runs([str(tmp_path)]).values()
    assert report["images"] == {"train": 60, "val": 20, "test": 20}
    assert all(report["data_hashes"].values())
    scores = report["scores"]
    assert list(scores) == [
        *("kNN", "linear, 100 % of labels", "linear, 1 labels per class", "linear, 5 labels per class")
    ]
    assert scores["linear, 100 % of labels"]["value"] > 0.3  # chance is 0.1
    low, high = scores["linear, 100 % of labels"]["interval"]
    assert high - low > 0.2  # twenty test images say little
    assert {path.name for path in tmp_path.glob("*.png")} == {
        *("confusion_matrix.png", "neighbours.png", "tokens.png")
    }
