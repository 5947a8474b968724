"""Every row of the study can be built, and its page written."""

import pytest
import torch

from fidelity.budget import FULL, QUICK
from fidelity.page import write_study
from fidelity.rows import CONTINUAL, OPTIONS, SOURCE, methods
from fidelity.runs import Run
from xstars_lightning.models import CrossSensorEncoder, save_encoder
from xstars_lightning.sensors import resolve_sensors

SENSORS = resolve_sensors({"fine": "aerial_rgb", "sentinel2": "sentinel2_rgb", "landsat": "landsat_rgb"})
ROWS = [*methods(QUICK), *OPTIONS, SOURCE, *CONTINUAL]


def build(row, budget, weights=None):
    torch.manual_seed(0)
    sensors = {name: SENSORS[name] for name in row.sensors}
    return row.task(sensors=sensors, weights=weights, **(budget.options() | row.options))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.title)
def test_every_row_can_be_built(row, tmp_path):
    save_encoder(CrossSensorEncoder({"sentinel2": SENSORS["sentinel2"]}, QUICK.backbone), tmp_path / "known")
    task = build(row, QUICK, str(tmp_path / "known") if row in CONTINUAL else None)
    assert tuple(task.sensors) == row.sensors


@pytest.mark.parametrize("row", [methods(FULL)[-2], methods(FULL)[-1]], ids=lambda row: row.title)
def test_the_form_for_a_gpu_can_be_built(row):
    assert build(row, FULL).model.backbone == FULL.backbone


def test_titles_are_all_different():
    assert len({row.title for row in ROWS}) == len(ROWS)


def test_the_page_has_a_table_for_every_section(tmp_path):
    metrics = {"patch_fine_sentinel2": 0.5, "eurosat_knn": 0.4, "seconds": 60.0}
    sections = {
        "real": "ours",
        "simulated": "ours",
        "options": OPTIONS[0].title,
        "continual, real": SOURCE.title,
    }
    runs = [
        Run(data=data, row=row, seed=seed, metrics=metrics)
        for data, row in sections.items()
        for seed in range(2)
    ]
    write_study(runs, tmp_path / "page.md", QUICK, 2, 10.0)
    text = (tmp_path / "page.md").read_text()
    assert "Training took 8 minutes, added over the runs; the command took 10 minutes" in text
    options = text.split("## Options of ours")[1].split("## ")[0]
    assert "| ours |" in options
    assert OPTIONS[0].title in options
    assert (tmp_path / "page.png").is_file()
