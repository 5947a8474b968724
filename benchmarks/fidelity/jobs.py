"""The runs of the study, each of which can be done by itself."""

import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

from fidelity.budget import Budget
from fidelity.classification import Images, load_images
from fidelity.ground import GROUNDS, Ground, open_ground
from fidelity.judge import judge, retention
from fidelity.pretrain import pretrain
from fidelity.rows import CONTINUAL, NATIVE, NATIVE_AT_ONE_SIZE, OPTIONS, SOURCE, Row, methods
from fidelity.runs import Run, done, run_key, save_run
from xstars_lightning.models import save_encoder

__all__ = ["Job", "Setting", "list_jobs", "run_job", "start_worker"]


@dataclass(frozen=True)
class Setting:
    """Where and how large the study is.

    Args:
        budget: Cost of a run.
        folder: Folder of the runs.
        imagery: Folder of the real imagery, if there is one.
    """

    budget: Budget
    folder: Path
    imagery: Path | None


@dataclass(frozen=True)
class Job:
    """One row, or the chain of continual pretraining, on one ground with one seed."""

    ground: str
    row: Row
    seed: int

    @property
    def title(self) -> str:
        """For people."""
        return f"{self.ground}, {self.row.title}, seed {self.seed}"

    @property
    def section(self) -> str:
        """The table that its runs belong to."""
        if self.row == SOURCE:
            return f"continual, {self.ground}"
        return "options" if self.row in OPTIONS else self.ground

    def done(self, setting: Setting) -> bool:
        """Whether all its runs were saved."""
        rows = [self.row]
        if self.row == SOURCE:
            rows += CONTINUAL
        if self.row.title == NATIVE.title:
            rows.append(NATIVE_AT_ONE_SIZE)
        return all(done(setting.folder, run_key(self.section, row.title, self.seed)) for row in rows)


def list_jobs(setting: Setting) -> list[Job]:
    """All jobs, the main question first; the others on one ground, the real one if it is there."""
    grounds = list(GROUNDS) if setting.imagery else ["simulated"]
    jobs = []
    for seed in range(setting.budget.seeds):
        jobs += [Job(ground, row, seed) for row in methods(setting.budget) for ground in grounds]
        jobs += [Job(grounds[-1], row, seed) for row in (SOURCE, *OPTIONS)]
    return jobs


def start_worker(threads: int) -> None:
    """Prepare a process for jobs; hundreds of runs need no messages of their trainers."""
    torch.set_num_threads(threads)
    for name in ("lightning.pytorch", "lightning.pytorch.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.simplefilter("ignore")


def run_job(job: Job, setting: Setting) -> str:
    """Train, judge and save; returns the job's title."""
    for title, metrics in _results(job, setting, _ground(job.ground, setting)):
        save_run(setting.folder, Run(data=job.section, row=title, seed=job.seed, metrics=metrics))
    return job.title


def _results(job: Job, setting: Setting, ground: Ground) -> Iterator[tuple[str, dict[str, float]]]:
    task, metrics = pretrain(job.row, ground, job.seed, setting.budget)
    sizes = _sizes(setting)
    yield job.row.title, metrics | judge(task.teacher, sizes | task.image_sizes, ground, _images(setting))
    if job.row.title == NATIVE.title:
        yield NATIVE_AT_ONE_SIZE.title, judge(task.teacher, sizes, ground, _images(setting))
    if job.row != SOURCE:
        return
    path = setting.folder / "weights" / f"{job.ground}-{job.seed}.safetensors"
    save_encoder(task.teacher, path)
    for row in CONTINUAL:
        adapted, metrics = pretrain(row, ground, job.seed, setting.budget, str(path))
        metrics["retention"] = retention(task.teacher, adapted.teacher, sizes, ground)
        yield row.title, metrics | judge(adapted.teacher, sizes, ground, _images(setting))


def _sizes(setting: Setting) -> dict[str, int]:
    return dict.fromkeys(GROUNDS["real"], setting.budget.image_size)


@cache  # within a worker
def _ground(name: str, setting: Setting) -> Ground:
    return open_ground(name, setting.imagery, setting.budget)


@cache
def _images(setting: Setting) -> dict[str, Images]:
    """Classification datasets, by the sensor they are taken for."""
    if setting.imagery is None:
        return {}
    size, cache_folder = setting.budget.image_size, setting.folder / "images"
    taken_for = {"sentinel2": ("eurosat", "eurosat_rgb"), "fine": ("ucmerced", "ucmerced")}
    return {
        sensor: load_images(
            setting.imagery / folder, kind, size, *dict(setting.budget.images)[kind], 0, cache_folder
        )
        for sensor, (kind, folder) in taken_for.items()
    }
