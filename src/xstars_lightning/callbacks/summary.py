"""What came out of a run, and where it lies."""

from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

__all__ = ["RunSummary", "plot_curves", "summarize"]


class RunSummary(Callback):
    """Draws the curves of a run and prints what rose, what fell and where everything is.

    Reads the ``metrics.csv`` of Lightning's CSVLogger; without that logger it only says where
    the checkpoints are.

    Args:
        metrics: Prefixes of the metrics to tell of.
    """

    def __init__(
        self, metrics: tuple[str, ...] = ("train_loss", "train_dino", "train_align", "val_")
    ) -> None:
        self.metrics = tuple(metrics)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print the summary, once."""
        folder = trainer.log_dir  # a collective operation, so before the others leave
        if not trainer.is_global_zero:
            return
        console = Console()
        for logger in trainer.loggers:
            if isinstance(logger, CSVLogger):
                logger.save()
                path = Path(logger.log_dir) / "metrics.csv"
                if not path.is_file():  # nothing was logged, as in a run of a few steps
                    continue
                log = pd.read_csv(path)
                console.print(_table(summarize(log, self.metrics)))
                figure = plot_curves(log)
                figure.savefig(Path(logger.log_dir) / "curves.png", dpi=100)
                plt.close(figure)
        places: dict[str, str | None] = {}
        for checkpoint in trainer.checkpoint_callbacks:
            if isinstance(checkpoint, ModelCheckpoint):
                kind = "last" if checkpoint.monitor is None else "best"
                places[f"{kind} checkpoint"] = checkpoint.best_model_path
        places["metrics, curves, pictures"] = folder
        for name, place in places.items():
            if place:
                console.print(f"{name:>26}: {place}", soft_wrap=True, highlight=False)


def summarize(log: pd.DataFrame, prefixes: tuple[str, ...]) -> dict[str, tuple[float, float]]:
    """First and last value of every metric whose name starts with a prefix.

    Values of training are the means of the first and the last tenth, since they are noisy.
    """
    found = {}
    for name in log.columns:
        values = log[name].dropna()
        if name.startswith(prefixes) and len(values) > 1:
            few = max(1, len(values) // 10) if name.startswith("train_") else 1
            found[name] = (float(values.iloc[:few].mean()), float(values.iloc[-few:].mean()))
    return found


def _table(changes: dict[str, tuple[float, float]]) -> Table:
    table = Table(title="From the start of the run to its end")
    for column in ("metric", "start", "end", ""):
        table.add_column(column, justify="left" if column in ("metric", "") else "right")
    for name, (start, end) in changes.items():
        way = "stayed" if end == start else "rose" if end > start else "fell"
        table.add_row(name, f"{start:.3f}", f"{end:.3f}", way)
    return table


def plot_curves(log: pd.DataFrame) -> Figure:
    """Losses on the left, retrieval between sensors on the right, over steps."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    losses = [name for name in ("train_loss", "train_dino", "train_align") if name in log]
    recalls = [name for name in log if name.startswith("val_patch_")]
    for axis, names, title in (
        (left, losses, "losses"),
        (right, recalls, "patch recall@1 on held-out ground"),
    ):
        for name in names:
            values = log[["step", name]].dropna()
            axis.plot(values["step"], values[name], label=name.removeprefix("val_patch_"))
        axis.set(title=title, xlabel="optimizer step")
        axis.grid(alpha=0.3)
        if axis.lines:
            axis.legend(fontsize=7)
    right.set_ylim(0, 1)
    return figure
