"""The command line, and every YAML that is shipped."""

import json
import os
import subprocess
import sys
from pathlib import Path

import lightning.pytorch as pl
import numpy as np
import pandas as pd
import pytest
import yaml

from xstars_lightning.callbacks import Preemption
from xstars_lightning.cli import XStarsCLI, main
from xstars_lightning.models import load_encoder

ROOT = Path(__file__).parents[1]
EXPERIMENTS = sorted(path.name for path in (ROOT / "configs").glob("*.yaml"))
RECIPES = sorted(path.name for path in (ROOT / "datamodules").glob("*.yaml"))
SMALL = [
    *("--model.image_size=32", "--model.local_size=16", "--model.prototypes=64", "--model.head_dim=32"),
    *("--trainer.max_epochs=1", "--trainer.limit_train_batches=4", "--trainer.log_every_n_steps=1"),
    *(
        "--trainer.accelerator=cpu",
        "--trainer.enable_progress_bar=false",
        "--trainer.enable_model_summary=false",
    ),
]


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Options for a small set of simulated scenes, written once."""
    root = tmp_path_factory.mktemp("cache")
    return [
        *(f"--data.root={root}", "--data.scenes=2", "--data.extent=1200", "--data.window=120"),
        *("--data.batch_size=4", "--data.windows_per_epoch=16", "--data.val_fraction=0.2"),
    ]


@pytest.fixture(scope="module")
def run(scenes, tmp_path_factory):
    """Folder of a finished run of the main job, made small."""
    folder = tmp_path_factory.mktemp("runs")
    main(
        [
            "fit",
            f"--config={ROOT}/configs/pretrain.yaml",
            *scenes,
            *SMALL,
            f"--trainer.default_root_dir={folder}",
        ]
    )
    return folder / "version_0"


def test_main_job_leaves_checkpoints_metrics_and_pictures(run):
    names = {path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()}
    assert {
        "metrics.csv",
        "curves.png",
        "config.yaml",
        "checkpoints/last.ckpt",
        "pictures/views.png",
    } <= names
    assert "pictures/tokens_000000.png" in names  # before training
    assert "pictures/tokens_000004.png" in names  # and after
    assert any(name.startswith("checkpoints/best") for name in names)
    assert any("tfevents" in name for name in names)


def test_metrics_start_before_the_first_step(run):
    log = pd.read_csv(run / "metrics.csv")
    pairs = [
        f"val_patch_{a}_{b}"
        for a in ("spot", "sentinel2", "landsat")
        for b in ("spot", "sentinel2", "landsat")
        if a != b
    ]
    for name in (*pairs, "val_retrieval", "val_rank_spot"):
        assert list(log.dropna(subset=name)["step"]) == [0, 3]
    assert log["train_loss"].notna().sum() == 4


def test_the_model_takes_its_sensors_from_the_data(run):
    assert list(load_encoder(run / "checkpoints" / "last.ckpt").sensors) == ["spot", "sentinel2", "landsat"]


def test_a_saved_config_runs_again(run, tmp_path):
    main(
        [
            "fit",
            f"--config={run}/config.yaml",
            f"--trainer.default_root_dir={tmp_path}",
            "--trainer.max_steps=1",
        ]
    )
    assert (tmp_path / "version_0" / "checkpoints" / "last.ckpt").is_file()


def test_a_second_run_does_not_overwrite_the_first(run, scenes):
    before = (run / "metrics.csv").read_bytes()
    folder = run.parent
    main(
        [
            "fit",
            f"--config={ROOT}/configs/pretrain.yaml",
            *scenes,
            *SMALL,
            f"--trainer.default_root_dir={folder}",
        ]
    )
    assert (run / "metrics.csv").read_bytes() == before
    assert (folder / "version_1" / "metrics.csv").is_file()


def test_a_run_goes_on_from_its_checkpoint(run, scenes, tmp_path):
    options = [*scenes, *SMALL, "--trainer.max_epochs=2", f"--trainer.default_root_dir={tmp_path}"]
    checkpoint = f"--ckpt_path={run}/checkpoints/last.ckpt"
    main(["fit", f"--config={ROOT}/configs/pretrain.yaml", *options, checkpoint])
    log = pd.read_csv(tmp_path / "version_0" / "metrics.csv")
    assert list(log.dropna(subset="train_loss")["step"]) == [4, 5, 6, 7]


@pytest.mark.parametrize(
    ("option", "words"),
    [("--model.backbone=vit_small_patch16_224", "another backbone"), ("--model.alpha=-1", "alpha")],
)
def test_a_checkpoint_does_not_override_what_was_asked_for(run, scenes, tmp_path, option, words):
    options = [*scenes, *SMALL, f"--trainer.default_root_dir={tmp_path}", option]
    with pytest.raises(ValueError, match=words):
        main(
            [
                *("fit", f"--config={ROOT}/configs/pretrain.yaml", *options),
                f"--ckpt_path={run}/checkpoints/last.ckpt",
            ]
        )


def test_without_callbacks_and_with_ones_own_progress_bar(scenes, tmp_path):
    options = [option for option in SMALL if "progress_bar" not in option]
    common = ["fit", f"--config={ROOT}/configs/pretrain.yaml", *scenes, *options]
    callbacks = "--trainer.callbacks=TQDMProgressBar"
    main([*common, f"--trainer.default_root_dir={tmp_path}", callbacks])
    assert (tmp_path / "version_0" / "checkpoints" / "last.ckpt").is_file()


def test_evaluation_of_the_checkpoint(run, class_folders, tmp_path):
    options = ["--model.image_size=32", "--model.k=3", "--model.draws=1", "--model.fractions=[1.0]"]
    main(
        [
            *("test", f"--config={ROOT}/configs/eurosat.yaml", f"--data.root={class_folders}", *options),
            *(f"--model.weights={run}/checkpoints/last.ckpt", f"--model.output_dir={tmp_path}"),
            *("--trainer.accelerator=cpu", "--trainer.logger=false", "--trainer.enable_progress_bar=false"),
        ]
    )
    assert {path.name for path in tmp_path.glob("*.*")} >= {"evaluation.json", "confusion_matrix.png"}


def test_two_folders_of_ones_own(write_raster, tmp_path):
    rng = np.random.default_rng(0)
    ground = rng.integers(30, 220, (3, 80, 80), dtype=np.uint8)
    write_raster("fine/a.tif", ground.repeat(2, 1).repeat(2, 2), res=5)
    write_raster("coarse/a.tif", ground, res=10)
    write_raster("coarser/a.tif", ground[:, ::3, ::3][:, :26, :26], res=30)
    paths = {"aerial": "fine", "sentinel2": "coarse", "landsat": "coarser"}
    own = {"name": "own", "bands": ["red", "green", "blue"], "resolution": 5, "value_range": [0, 255]}
    own |= {"mean": [0.5, 0.5, 0.5], "std": [0.2, 0.2, 0.2]}
    main(
        [
            *(
                "fit",
                f"--config={ROOT}/configs/pretrain.yaml",
                f"--data={ROOT}/datamodules/cross_sensor.yaml",
            ),
            *(f"--data.paths.{sensor}={tmp_path}/{folder}" for sensor, folder in paths.items()),
            *(f"--data.sensors.aerial={json.dumps(own)}", "--data.window=120", *SMALL),
            *("--data.batch_size=4", "--data.windows_per_epoch=8"),
            f"--trainer.default_root_dir={tmp_path}/runs",
        ]
    )
    encoder = load_encoder(tmp_path / "runs/version_0/checkpoints/last.ckpt")
    assert list(encoder.sensors) == list(paths)
    assert encoder.sensors["aerial"].std == (0.2, 0.2, 0.2)


def test_continual_pretraining_from_a_checkpoint_of_the_main_job(run, scenes, tmp_path):
    """A sensor with other bands and another token grid, learned from weights that know Sentinel-2."""
    data = [option for option in scenes if not option.startswith("--data.root")]
    main(
        [
            *(
                "fit",
                f"--config={ROOT}/configs/continual.yaml",
                f"--data.root={tmp_path}/scenes",
                *data,
                *SMALL,
            ),
            f"--model.weights={run}/checkpoints/last.ckpt",
            '--model.image_size={"planet": 64, "sentinel2": 32}',
            f"--trainer.default_root_dir={tmp_path}",
        ]
    )
    log = pd.read_csv(tmp_path / "version_0" / "metrics.csv")
    assert log["val_retention_sentinel2"].dropna().iloc[0] == 1
    assert log["train_align_planet_sentinel2"].notna().any()
    assert "train_dino_sentinel2" not in log
    encoder = load_encoder(tmp_path / "version_0" / "checkpoints" / "last.ckpt")
    assert {name: len(sensor.bands) for name, sensor in encoder.sensors.items()} == {
        "planet": 4,
        "sentinel2": 3,
    }


def test_the_number_of_windows_comes_from_the_data(scenes, tmp_path, monkeypatch):
    seen = {}
    monkeypatch.setattr(XStarsCLI, "_run_subcommand", lambda cli, _: seen.update(model=cli.model))
    options = [*scenes, "--data.windows_per_epoch=60000", "--model.prototypes=null"]
    main(
        ["fit", f"--config={ROOT}/configs/pretrain.yaml", *options, f"--trainer.default_root_dir={tmp_path}"]
    )
    assert seen["model"].hparams["windows"] == 60000
    assert seen["model"].hparams["prototypes"] == 4096


def test_flags_of_ddp_and_mixed_precision(scenes, tmp_path):
    """Two real processes, started as a user would."""
    options = [*scenes, *SMALL, f"--trainer.default_root_dir={tmp_path}"]
    flags = ["--trainer.devices=2", "--trainer.strategy=ddp", "--trainer.precision=bf16-mixed"]
    command = [sys.executable, "-m", "xstars_lightning.cli", "fit", "-c", f"{ROOT}/configs/pretrain.yaml"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, *options, *flags], env=environment, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr[-3000:]
    log = pd.read_csv(tmp_path / "version_0" / "metrics.csv")
    assert log["train_loss"].notna().sum() == 2  # 16 windows in batches of 4 for each of 2 processes
    assert log["val_retrieval"].notna().sum() == 2


def subcommand_of(experiment):
    """What an experiment is for: those that say how long to train are to be fitted."""
    content = yaml.safe_load((ROOT / "configs" / experiment).read_text())
    if content["model"]["class_path"] == "Embed":
        return "predict"
    return "fit" if "max_epochs" in content["trainer"] else "test"


def experiment_with(recipe):
    """The experiment that names a recipe; those for pretraining need not be named."""
    files = (ROOT / "configs").glob("*.yaml")
    named = [file.name for file in files if f"data: ../datamodules/{recipe}\n" in file.read_text()]
    return min(named, default="pretrain.yaml")


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_parses_with_its_data(experiment):
    with pytest.raises(SystemExit) as ended:
        main([subcommand_of(experiment), f"--config={ROOT}/configs/{experiment}", "--print_config"])
    assert ended.value.code in (0, None)


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_fits_an_experiment(recipe, capsys):
    experiment = experiment_with(recipe)
    arguments = [
        f"--config={ROOT}/configs/{experiment}",
        f"--data={ROOT}/datamodules/{recipe}",
        "--print_config",
    ]
    with pytest.raises(SystemExit):
        main([subcommand_of(experiment), *arguments])
    shown = yaml.safe_load(capsys.readouterr().out)
    recipe_class = yaml.safe_load((ROOT / "datamodules" / recipe).read_text())["class_path"]
    assert shown["data"]["class_path"].endswith(recipe_class)


def test_safe_defaults(monkeypatch, run, scenes, tmp_path):
    seen = {}
    monkeypatch.setattr(
        XStarsCLI, "_run_subcommand", lambda cli, _: seen.update(trainer=cli.trainer, config=cli.config)
    )
    monkeypatch.delenv("GDAL_HTTP_MERGE_CONSECUTIVE_RANGES", raising=False)
    main(["fit", f"--config={ROOT}/configs/pretrain.yaml", *scenes, f"--trainer.default_root_dir={tmp_path}"])
    trainer = seen["trainer"]
    assert trainer._accelerator_connector.use_distributed_sampler is False
    assert seen["config"]["fit"].seed_everything == 0
    assert isinstance(trainer.progress_bar_callback, pl.callbacks.RichProgressBar)
    best, last, leaving = trainer.checkpoint_callbacks
    assert isinstance(leaving, Preemption)
    assert (best.monitor, best.mode) == ("val_retrieval", "max")
    assert (last.monitor, last.filename) == (None, "last")
    assert os.environ["GDAL_HTTP_MERGE_CONSECUTIVE_RANGES"] == "YES"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model.alfa=1"], "alfa"),
        (["--data.windw=3"], "windw"),
        (["--trainer.max_epoch=3"], "max_epoch"),
        (["--data=nowhere.yaml"], "nowhere.yaml"),
    ],
)
def test_a_misspelt_key_is_named(arguments, words, capsys):
    with pytest.raises(SystemExit):
        main(["fit", f"--config={ROOT}/configs/pretrain.yaml", *arguments])
    assert words in capsys.readouterr().err


def test_a_misspelt_key_in_a_file_is_named(tmp_path, capsys):
    content = yaml.safe_load((ROOT / "configs" / "pretrain.yaml").read_text())
    content["data"] = f"{ROOT}/datamodules/simulated.yaml"
    content["model"]["init_args"]["protoypes"] = content["model"]["init_args"].pop("prototypes")
    (tmp_path / "misspelt.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(SystemExit):
        main(["fit", f"--config={tmp_path}/misspelt.yaml"])
    assert "protoypes" in capsys.readouterr().err


def test_the_error_of_a_constructor_stands_alone():
    with pytest.raises(ValueError, match=r"^Unknown sensor 'sput_rgb'\. Did you mean 'spot_rgb'\?"):
        main(["fit", f"--config={ROOT}/configs/pretrain.yaml", "--data.sensors.spot=sput_rgb"])


def test_an_error_with_a_cause_of_its_own_stands_alone_too(scenes):
    with pytest.raises(ValueError, match=r"^'resnet18' is no vision transformer"):
        main(["fit", f"--config={ROOT}/configs/pretrain.yaml", *scenes, "--model.backbone=resnet18"])


def test_help_reads_well(capsys):
    for arguments, words in ((["--help"], "fit"), (["fit", "--help"], "--trainer.max_epochs")):
        with pytest.raises(SystemExit):
            main(arguments)
        assert words in capsys.readouterr().out
