"""The study: equal short runs of every row, several seeds, on simulated and on real ground.

    make fidelity
    XSTARS_DATA=<folder> python -m fidelity --workers 2 --page docs/fidelity.md     # in benchmarks/

A run that is done is not repeated, so that an interrupted study goes on; remove the folder of the runs
after a change of the code. XSTARS_DATA names a folder with
``cross_sensor``, ``eurosat_rgb`` and ``ucmerced``; without it only the simulated ground is studied, and
nothing is classified.
"""

import argparse
import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import torch
from rich.progress import track

from fidelity.budget import FULL, QUICK
from fidelity.ground import open_ground
from fidelity.jobs import Job, Setting, list_jobs, run_job, start_worker
from fidelity.page import write_study
from fidelity.runs import load_runs


def main() -> None:
    """Run what is missing, then write the page."""
    options = _options()
    imagery = Path(os.environ["XSTARS_DATA"]) if os.environ.get("XSTARS_DATA") else None
    budget = FULL if options.full else QUICK
    setting = Setting(budget, options.runs / budget.digest, imagery)
    open_ground("simulated", None, budget)  # once, before workers need its scenes
    jobs = [job for job in list_jobs(setting) if not job.done(setting)]
    start = time.time()
    if jobs:
        _run_all(jobs, setting, options.workers)
    minutes = (time.time() - start) / 60 if len(jobs) == len(list_jobs(setting)) else None
    write_study(load_runs(setting.folder), options.page, budget, options.workers, minutes)
    print(f"Written: {options.page}")


def _run_all(jobs: list[Job], setting: Setting, workers: int) -> None:
    # Fresh processes: threads and random states of this one are not inherited.
    context = multiprocessing.get_context("spawn")
    threads = max(1, (os.cpu_count() or 1) // workers)
    with ProcessPoolExecutor(workers, context, start_worker, (threads,)) as pool:
        waiting = [pool.submit(run_job, job, setting) for job in jobs]
        for done in track(as_completed(waiting), "Runs of the study", len(waiting)):
            print(done.result(), flush=True)


def _workers() -> int:
    """One run on a GPU, else one on each core."""
    return 1 if torch.cuda.is_available() else os.cpu_count() or 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=Path, default=Path("runs/fidelity"), help="folder of the runs")
    parser.add_argument("--page", type=Path, default=Path("docs/fidelity.md"), help="page to write")
    parser.add_argument("--workers", type=int, default=_workers(), help="runs at the same time")
    parser.add_argument("--full", action="store_true", help="ViT-Small and 2,000 steps, for a GPU")
    return parser.parse_args()


if __name__ == "__main__":
    main()
