"""The command line knows the chips by short names, and their sensors without being told."""

import pytest

from xstars_lightning.cli import XStarsCLI, main


@pytest.mark.parametrize("name", ["MSCFrance", "WorldStrat", "TreeSatAIPairs", "FLAIRHubPairs"])
def test_the_model_takes_the_default_sensors_and_the_length_of_an_epoch(name, monkeypatch):
    seen = {}
    monkeypatch.setattr(XStarsCLI, "_run_subcommand", lambda cli, _: seen.update(cli=cli))
    model = ["--model=XStars", "--model.backbone=vit_tiny_patch16_224", "--model.prototypes=64"]
    options = ["--data.windows_per_epoch=77", "--trainer.logger=false", "--trainer.accelerator=cpu"]
    main(["fit", *model, f"--data={name}DataModule", *options])
    task, data = seen["cli"].model, seen["cli"].datamodule
    assert dict(task.sensors) == data.sensors
    assert task.hparams["windows"] == 77
