"""The command ``xstars``: fit, validate, test, predict and preview from YAML files, and tools for data."""

import os
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.accelerators import CPUAccelerator
from lightning.pytorch.callbacks import LearningRateMonitor, ModelCheckpoint, ProgressBar, RichProgressBar
from lightning.pytorch.cli import ArgsType, Namespace
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from torchgeo.datamodules import BaseDataModule
from torchgeo.tasks import BaseTask

import xstars_lightning.datamodules
import xstars_lightning.tasks  # noqa: F401 - short class names of ours
from xstars_lightning import __version__
from xstars_lightning.allocator import keep_blocks
from xstars_lightning.callbacks import CrossSensorRetrieval, Preemption
from xstars_lightning.tools.commands import TOOLS, run_tool
from xstars_lightning.tools.preview_command import PreviewCLI

__all__ = ["XStarsCLI", "main"]

GDAL = {
    # No listing of the folder for every file that is opened, which is slow on remote storage;
    # sidecar files (.ovr, .msk, .aux.xml) are still found, which EMPTY_DIR would prevent.
    "GDAL_DISABLE_READDIR_ON_OPEN": "TRUE",
    # One request for the blocks that a window touches.
    "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",
    "VSI_CACHE": "TRUE",
}

HELP = {
    "description": "Cross-sensor pretraining for Earth observation. Experiments are YAML files; every value "
    "in them can be changed on the command line. See configs/ and datamodules/.",
    "fit": {
        "description": "Train, for example: xstars fit --config configs/pretrain.yaml --data "
        "datamodules/cross_sensor.yaml --data.paths.aerial DIR ... The options of a class are shown by "
        "--model.help XStars and --data.help CrossSensorDataModule; those of the trainer follow."
    },
    "validate": {"description": "Validate a checkpoint: the configuration of its run and --ckpt_path."},
    "test": {
        "description": "Evaluate, for example: xstars test --config configs/eurosat.yaml --model.weights "
        "CHECKPOINT. The options of the evaluation are shown by --model.help FrozenEvaluation."
    },
    "predict": {"description": "Run a task that predicts, such as those of TorchGeo."},
}

QUIET = (
    r"`torch.nn.utils.weight_norm` is deprecated",  # in lightly's DINOProjectionHead
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",  # in lightning 2.6 with torch >= 2.15
    r"Dataset has no geotransform",  # of rasterio; where it matters, our errors name the file
    r"FSDP2-wrapped module \(FSDPCrossSensorEncoder\) returned a view",  # which nothing changes in place
    r"You have overridden `on_before_batch_transfer` in `LightningModule`",  # that is what is meant
)

#: Options of the data -> those of the model that take their value, unless they are given.
FROM_DATA = {"sensors": "sensors", "windows_per_epoch": "windows"}

TRAINER_DEFAULTS = {
    # Our samplers share the windows out to the processes themselves; Lightning would put its own
    # sampler over them and shuffle what is already drawn.
    "use_distributed_sampler": False,
    # Validate before the first step, so that curves start where the untrained model stands.
    "num_sanity_val_steps": -1,
    "gradient_clip_val": 3.0,
    "log_every_n_steps": 10,
}


class XStarsCLI(PreviewCLI):
    """LightningCLI whose model learns from the data what they know, with callbacks one always wants."""

    def before_instantiate_classes(self) -> None:
        """Give what the data know, their sensors and number of windows, to a model that was not given it."""
        config = self.config if self.subcommand is None else self.config[self.subcommand]
        model, data = config.get("model.init_args"), config.get("data.init_args")
        for theirs, ours in FROM_DATA.items():
            if model and data and theirs in data and ours in model and model[ours] is None:
                model[ours] = data[theirs]

    def instantiate_classes(self) -> None:
        """Let an error of a constructor stand alone; jsonargparse wraps it in a page of its own."""
        try:
            super().instantiate_classes()
        except ValueError as error:
            first: BaseException = error
            while first.__cause__ is not None and str(first).startswith("Does not validate against any"):
                first = first.__cause__
            raise first from first.__cause__

    def _parse_ckpt_path(self) -> None:
        """Take no options from a checkpoint: what YAML and command line say was asked for."""

    def instantiate_trainer(self, **kwargs: Any) -> pl.Trainer:
        """Add progress bar, checkpoints of best and last, and loggers where the YAML has none."""
        config = self.config_init if self.subcommand is None else self.config_init[self.subcommand]
        given = config.trainer.callbacks or []
        given = list(given) if isinstance(given, list | tuple) else [given]
        callbacks = list(given)
        for kind, default in self._default_callbacks(config):
            if not any(isinstance(callback, kind) for callback in given):
                callbacks.append(default)
        kwargs.setdefault("callbacks", callbacks)
        if config.trainer.logger in (None, True):
            kwargs.setdefault("logger", _loggers(config.trainer.default_root_dir or "runs"))
        trainer = super().instantiate_trainer(**kwargs)
        if self.subcommand == "fit" and isinstance(trainer.accelerator, CPUAccelerator):
            keep_blocks()
        return trainer

    def _default_callbacks(self, config: Namespace) -> Iterator[tuple[type[pl.Callback], pl.Callback]]:
        """Callbacks that the flags of the trainer leave room for, each with the kind that replaces it."""
        task = self.model
        if config.trainer.enable_progress_bar is not False:
            yield ProgressBar, RichProgressBar()
        if task.monitor == "val_retrieval":
            yield CrossSensorRetrieval, CrossSensorRetrieval()
        if config.trainer.enable_checkpointing is not False:
            best = ModelCheckpoint(monitor=task.monitor, mode=task.mode, filename="best-{step}")
            yield ModelCheckpoint, best
            # `save_last` would be no later than the best, and a run goes on from where it stood.
            yield ModelCheckpoint, ModelCheckpoint(filename="last", enable_version_counter=False)
            yield Preemption, Preemption()  # after the others, whose files it waits for
        if config.trainer.logger is not False:
            yield LearningRateMonitor, LearningRateMonitor("step")


def _loggers(folder: str) -> list[Any]:
    """CSV and TensorBoard side by side in the next free ``<folder>/version_<n>``."""
    csv = CSVLogger(folder, name="")
    return [csv, TensorBoardLogger(folder, name="", version=csv.version)]


def main(args: ArgsType = None) -> None:
    """Entry point of ``xstars``.

    Args:
        args: Arguments in place of those of the command line, as a list.
    """
    for name, value in GDAL.items():
        os.environ.setdefault(name, value)
    for message in QUIET:
        warnings.filterwarnings("ignore", message)
    words = sys.argv[1:] if args is None else args
    if isinstance(words, list) and words and words[0] in TOOLS:
        run_tool(words[0], words[1:])
        return
    try:
        XStarsCLI(
            model_class=BaseTask,
            datamodule_class=BaseDataModule,
            subclass_mode_model=True,
            subclass_mode_data=True,
            seed_everything_default=0,
            trainer_defaults=TRAINER_DEFAULTS,
            # A misspelt option must not pass as the beginning of another one.
            parser_kwargs={"version": __version__, "prog": "xstars", "allow_abbrev": False, **HELP},
            auto_configure_optimizers=False,  # tasks have their own
            save_config_kwargs={"overwrite": True},
            args=args,
        )
    finally:
        # Lightning leaves the group to the interpreter's exit, where the threads of gloo may abort.
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
