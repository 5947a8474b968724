"""Segmentation from the command line: a probe, and fine-tuning that is tested afterwards."""

from pathlib import Path

import pandas as pd
import pytest

from xstars_lightning.cli import main
from xstars_lightning.models import load_encoder

CONFIGS = Path(__file__).parents[2] / "configs"
QUIET = [
    *("--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false"),
    "--trainer.enable_model_summary=false",
]

pytestmark = pytest.mark.filterwarnings(
    "ignore:No weights given", "ignore:.*num_workers", "ignore:.*log_every_n"
)


def test_probe(loveda, tmp_path):
    options = [f"--data.root={loveda}", "--data.tile=32", "--model.fractions=[1.0]", *QUIET]
    main(["test", f"--config={CONFIGS}/loveda.yaml", *options, f"--model.output_dir={tmp_path / 'out'}"])
    names = {"evaluation.json", "labels.json", "segmentation.png"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == names


def test_fine_tuning_and_its_test(loveda, tmp_path):
    small = [f"--data.root={loveda}", "--data.tile=32", "--data.crops=1", "--data.num_workers=0"]
    small += ["--model.decoder_width=16", f"--trainer.default_root_dir={tmp_path}", *QUIET]
    config = f"--config={CONFIGS}/loveda_finetune.yaml"
    main(["fit", config, *small, "--trainer.max_epochs=1", "--trainer.log_every_n_steps=1"])
    log = pd.read_csv(tmp_path / "version_0" / "metrics.csv")
    assert log["train_loss"].notna().any()
    assert log["val_AverageJaccardIndex"].notna().sum() == 1
    checkpoint = tmp_path / "version_0" / "checkpoints" / "last.ckpt"
    assert list(load_encoder(checkpoint).sensors) == ["loveda"]
    main(["test", config, *small, f"--ckpt_path={checkpoint}"])
    scores = pd.read_csv(tmp_path / "version_1" / "metrics.csv")
    assert 0 <= scores["test_miou"].iloc[0] <= 1
    assert {"test_iou_lake", "test_iou_water"} & {*scores} == {"test_iou_water"}
    assert (tmp_path / "version_1" / "segmentation.png").is_file()


def test_fine_tuning_on_scenes_and_its_test(class_folders, tmp_path):
    small = [f"--data.root={class_folders}", "--data.num_workers=0", "--data.batch_size=6"]
    small += ["--model.image_size=32", f"--trainer.default_root_dir={tmp_path}", *QUIET]
    config = f"--config={CONFIGS}/eurosat_finetune.yaml"
    main(["fit", config, *small, "--trainer.max_epochs=1", "--trainer.log_every_n_steps=1"])
    checkpoint = tmp_path / "version_0" / "checkpoints" / "last.ckpt"
    assert list(load_encoder(checkpoint).sensors) == ["eurosat_rgb"]
    main(["test", config, *small, f"--ckpt_path={checkpoint}"])
    scores = pd.read_csv(tmp_path / "version_1" / "metrics.csv")
    assert 0 <= scores["test_OverallAccuracy"].iloc[0] <= 1
