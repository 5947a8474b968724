"""The command line, started and started again, told to leave in the middle of a step.

python preempted_process.py ROUNDS, as JSON: in each round one process per environment runs ``xstars fit
OPTIONS``, writes losses and weights to FOLDER and, in process SENDER, sends itself SIGNAL in step STEP, when
the loss is computed and the student has not moved. Prints the exit codes. Processes are forked, for imports
take long.
"""

import json
import multiprocessing
import os
import signal
import sys
from pathlib import Path

import lightning.pytorch as pl
import torch

from xstars_lightning import cli


class Preempted(pl.Callback):
    """Notes losses and weights, and is told to leave."""

    def __init__(self, folder, number, step, sender):
        self.folder, self.number, self.step, self.sender = Path(folder), number, step, sender

    def on_before_optimizer_step(self, trainer, task, optimizer):
        if trainer.global_step + 1 == self.step and trainer.global_rank == self.sender:
            os.kill(os.getpid(), self.number)

    def on_train_batch_end(self, trainer, task, outputs, batch, batch_idx):
        with (self.folder / f"losses_{trainer.global_rank}.txt").open("a") as file:
            print(trainer.fit_loop.total_batch_idx, outputs["loss"].double().item().hex(), file=file)

    def on_fit_end(self, trainer, task):
        torch.save(task.state_dict(), self.folder / f"weights_{trainer.global_rank}.pt")


def run(folder, number, step, sender, options, environment):
    os.environ.update(environment)
    noted = Preempted(folder, getattr(signal, number), step, sender)
    defaults = cli.XStarsCLI._default_callbacks
    cli.XStarsCLI._default_callbacks = lambda *args: [(Preempted, noted), *defaults(*args)]
    cli.main(["fit", *options])


def main(rounds):
    torch.set_num_threads(1)
    context = multiprocessing.get_context("fork")
    codes = []
    for environments, *arguments in rounds:
        processes = [context.Process(target=run, args=(*arguments, each)) for each in environments]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        codes.append([process.exitcode for process in processes])
    print("\n" + json.dumps(codes))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
