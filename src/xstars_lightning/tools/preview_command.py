"""The subcommand `preview` of a LightningCLI."""

import warnings
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, Namespace

from xstars_lightning.tools.commands import TOOLS, summary, tool_parser
from xstars_lightning.tools.preview import preview

__all__ = ["PreviewCLI"]

HELP = (
    "Print and draw what a run would see, without a model, for example: xstars preview --config "
    "configs/pretrain.yaml. Takes all that `xstars fit` takes."
)


class PreviewCLI(LightningCLI):
    """LightningCLI with a subcommand `preview`: all arguments of `fit`, of which it builds the data alone."""

    def _add_subcommands(self, parser: LightningArgumentParser, **kwargs: Any) -> None:
        super()._add_subcommands(parser, **kwargs)
        like_fit = self._prepare_subcommand_parser(pl.Trainer, "fit", description=HELP)
        like_fit.add_argument("--out", type=str, default="preview.png", help="Picture to write.")
        like_fit.add_argument("--windows", type=int, default=64, help="Training windows to look at.")
        self._subcommand_parsers["preview"] = like_fit
        commands = parser._subcommands_action
        assert commands is not None
        commands.add_subcommand("preview", like_fit, help=summary(preview))
        for name, tool in TOOLS.items():  # for the list of commands: `run_tool` runs them without all this
            commands.add_subcommand(name, tool_parser(name), help=summary(tool))

    def instantiate_classes(self) -> None:
        """Build all, or the data alone."""
        if self.subcommand == "preview":
            data = Namespace(data=self.config.preview.data)
            self.datamodule = self._parser("preview").instantiate_classes(data).data
        else:
            super().instantiate_classes()

    def _run_subcommand(self, subcommand: str) -> None:
        if subcommand == "preview":
            self._preview()
        else:
            super()._run_subcommand(subcommand)

    def _preview(self) -> None:
        self.datamodule.prepare_data()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sensor '")  # which the preview tells of more windows
            self.datamodule.setup("fit")
        preview(self.datamodule, self.config.preview.out, self.config.preview.windows)
