"""`xstars preview`: what a run would see, before it costs anything."""

from typing import Any

import matplotlib.pyplot as plt
from rich.console import Console

from xstars_lightning.datasets.archive.drafts import drafted
from xstars_lightning.tools.preview_facts import gather
from xstars_lightning.tools.preview_figure import plot_facts
from xstars_lightning.tools.preview_text import tell

__all__ = ["preview"]


def preview(datamodule: Any, out: str = "preview.png", windows: int = 64) -> None:
    """Print and draw what a run would see.

    Args:
        datamodule: Set up, with ``dataset``, ``sensors``, ``train_sampler`` and ``val_sampler``. Where the
            dataset has a method ``ground`` (see `Grounded`), a map is drawn.
        out: Picture to write (.png, .pdf, .svg).
        windows: Training windows to look at; statistics are theirs.

    Raises:
        OSError: If a file cannot be read or the picture not be written.
        ValueError: If a valid pixel is NaN, or ``windows`` is not positive.
    """
    if windows < 1:
        raise ValueError(f"windows must be 1 or more, got {windows}.")
    console = Console()
    with console.status("Reading windows"):
        facts = gather(datamodule, windows)
    tell(console, facts)
    figure = plot_facts(facts)
    with drafted(out) as file:
        figure.savefig(file, format=out.rpartition(".")[2].lower(), dpi=110)
    plt.close(figure)
    console.print(f"Picture: {out}", soft_wrap=True, highlight=False)
