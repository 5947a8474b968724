"""Segmentation from the command line: a probe, and fine-tuning that is tested afterwards."""

import json
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from xstars_lightning.cli import main
from xstars_lightning.datamodules.eurosat import EuroSATRGBDataModule
from xstars_lightning.evaluation.comparison import comparison_markdown, group_runs, read_runs
from xstars_lightning.models import load_encoder
from xstars_lightning.tasks.classification import FineTuneClassification
from xstars_lightning.tasks.embedding import check_one_process

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
    report = json.loads((tmp_path / "version_1" / "evaluation.json").read_text())
    (name,) = report["scores"]
    assert (name, report["trained"]) == ("mean IoU, fine-tuned", "fine-tuned")
    assert report["scores"][name]["value"] == pytest.approx(scores["test_miou"].iloc[0])
    assert (report["weights"], report["checkpoint"]) == (None, str(checkpoint))
    training = report["training"]
    assert (training["images"], training["options"]["layer_decay"]) == ({"train": 11, "val": 1}, 0.75)
    assert len({*training["data_hashes"].values(), *report["data_hashes"].values()}) == 3
    assert {"command", "commit", "versions"} <= {*training}
    # On the same images, so in the table of the probe.
    folders = [str(tmp_path / name) for name in ("version_1", "probe")]
    probe = [f"--data.root={loveda}", "--data.tile=32", "--model.fractions=[1.0]", *QUIET]
    main(["test", f"--config={CONFIGS}/loveda.yaml", *probe, f"--model.output_dir={folders[1]}"])
    (group,) = group_runs(read_runs(folders)).values()
    tuned, frozen = "random vit_tiny_patch16_224, fine-tuned", "random vit_tiny_patch16_224"
    assert list(group) == [tuned, frozen]
    assert f"| {tuned} | {100 * report['scores'][name]['value']:.1f}" in comparison_markdown(
        {"LoveDA": group}
    ).replace("**", "")


def test_fine_tuning_on_scenes_and_its_test(class_folders, tmp_path):
    small = [f"--data.root={class_folders}", "--data.num_workers=0", "--data.batch_size=6"]
    small += ["--model.image_size=32", f"--trainer.default_root_dir={tmp_path}", *QUIET]
    config = f"--config={CONFIGS}/eurosat_finetune.yaml"
    main(["fit", config, *small, "--trainer.max_epochs=1", "--trainer.log_every_n_steps=1"])
    checkpoint = tmp_path / "version_0" / "checkpoints" / "last.ckpt"
    assert list(load_encoder(checkpoint).sensors) == ["eurosat_rgb"]
    main(["test", config, *small, f"--ckpt_path={checkpoint}"])
    scores = pd.read_csv(tmp_path / "version_1" / "metrics.csv")
    report = json.loads((tmp_path / "version_1" / "evaluation.json").read_text())
    accuracy = report["scores"]["fine-tuned"]["value"]
    assert accuracy == pytest.approx(scores["test_OverallAccuracy"].iloc[0])
    low, high = report["scores"]["fine-tuned"]["interval"]
    assert low <= accuracy <= high
    assert (report["images"], report["training"]["images"]) == ({"test": 6}, {"train": 18, "val": 6})
    assert (tmp_path / "version_1" / "confusion_matrix.png").is_file()


def test_how_the_encoder_was_trained_is_said(class_folders, make_trainer, tmp_path):
    data = EuroSATRGBDataModule(str(class_folders), batch_size=6)
    task = FineTuneClassification(image_size=32, freeze_backbone=True)
    trainer = make_trainer(max_epochs=1)
    columns = []
    for act in (lambda: None, lambda: trainer.fit(task, data)):
        act()
        trainer.test(task, data, verbose=False)
        columns += json.loads((tmp_path / "evaluation.json").read_text())["scores"]
    assert columns == ["NOT TRAINED", "trained on the frozen encoder"]


def test_several_processes_do_not_score():
    with pytest.raises(ValueError, match=r"2 processes test.* use --trainer\.devices 1"):
        check_one_process(SimpleNamespace(world_size=2))
