"""The page about the study: what was run where, tables, and the figure."""

import os
import platform
from collections.abc import Sequence
from pathlib import Path

import lightning
import torch

from fidelity.budget import Budget
from fidelity.rows import CONTINUAL, NATIVE_AT_ONE_SIZE, OPTIONS, SOURCE, methods
from fidelity.runs import Run
from fidelity.summary import Column
from fidelity.table import write_page

__all__ = ["write_study"]

_COLUMNS = (
    Column("patch_fine_sentinel2", "patch: fine, S2"),
    Column("patch_fine_landsat", "patch: fine, L8"),
    Column("patch_sentinel2_landsat", "patch: S2, L8"),
    Column("window_fine_sentinel2", "window: fine, S2"),
    Column("window_fine_landsat", "window: fine, L8"),
    Column("window_sentinel2_landsat", "window: S2, L8"),
    Column("dino_ratio", "DINO / log K", percent=False, compare=False),
    Column("rank", "rank", percent=False, compare=False),
    Column("retention", "S2 neighbours kept", compare=False),
    Column("eurosat_knn", "EuroSAT kNN"),
    Column("eurosat_linear_5", "EuroSAT, 5 labels"),
    Column("eurosat_linear_20", "EuroSAT, 20 labels"),
    Column("ucmerced_knn", "UC Merced kNN"),
    Column("ucmerced_linear_5", "UC Merced, 5 labels"),
    Column("ucmerced_linear_20", "UC Merced, 20 labels"),
    Column("cover_sentinel2_fine", "land cover: S2 → fine"),
    Column("cover_fine_sentinel2", "land cover: fine → S2"),
    Column("cover_sentinel2_sentinel2", "land cover: S2 → S2"),
    Column("cover_fine_fine", "land cover: fine → fine"),
)
_MAIN = ("patch_fine_sentinel2", "window_fine_sentinel2", "eurosat_linear_20", "ucmerced_linear_20")
_OPTIONS = "options"


def write_study(runs: Sequence[Run], path: Path, budget: Budget, workers: int, minutes: float | None) -> None:
    """Write the page beside its figure.

    Args:
        runs: All that were saved.
        path: The Markdown file.
        budget: What each run cost.
        workers: Runs at the same time.
        minutes: Time that the study took; None if a part of it had been done before.
    """
    titles = [row.title for row in methods(budget)]
    rows = [*titles, *(row.title for row in (NATIVE_AT_ONE_SIZE, *OPTIONS, SOURCE, *CONTINUAL))]
    circumstances = _circumstances(runs, budget, workers, minutes)
    runs = [*runs, *_reference(runs)]
    reading = Path(__file__).with_name("README.md").read_text()
    write_page(runs, path, f"{reading}\n\n{circumstances}", _COLUMNS, rows, _MAIN)


def _reference(runs: Sequence[Run]) -> list[Run]:
    """Ours once more beside its options: the same ground, so the same numbers."""
    ground = "real" if any(run["data"] == "real" for run in runs) else "simulated"
    return [
        Run(data=_OPTIONS, row=run["row"], seed=run["seed"], metrics=run["metrics"])
        for run in runs
        if run["data"] == ground and run["row"] == "ours"
    ]


def _circumstances(runs: Sequence[Run], budget: Budget, workers: int, minutes: float | None) -> str:
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"{os.cpu_count()} CPU cores"
    spent = sum(run["metrics"].get("seconds", 0.0) for run in runs) / 60
    took = "" if minutes is None else f"; the command took {minutes:.0f} minutes"
    return (
        f"{budget.backbone}, {budget.steps} steps of {budget.batch} windows, {budget.image_size} px, "
        f"{budget.seeds} seeds; {device}, {platform.machine()}, {workers} runs at the same time; "
        f"torch {torch.__version__}, lightning {lightning.__version__}. "
        f"Training took {spent:.0f} minutes, added over the runs{took}."
    )
