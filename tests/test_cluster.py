"""The scripts of docs/cluster, run on this machine: two processes on a CPU."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]
CLUSTER = ROOT / "docs" / "cluster"
SRUN = """#!/bin/sh
export SLURM_NTASKS=2 SLURM_LOCALID=0
SLURM_PROCID=1 SLURM_NODEID=1 "$@" & other=$!
SLURM_PROCID=0 SLURM_NODEID=0 "$@" && wait $other
"""


@pytest.fixture
def start(tmp_path):
    """Starts a script with few and small windows."""

    def run(script, *options, **environment):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            environment |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
        environment |= {"OMP_NUM_THREADS": "1", "RUN": str(tmp_path / "run")}
        path = os.pathsep.join((str(tmp_path), str(Path(sys.executable).parent), os.environ["PATH"]))
        small = [
            *(f"--data.root={tmp_path}", "--data.scenes=2", "--data.extent=1200", "--data.window=120"),
            *("--data.batch_size=4", "--data.windows_per_epoch=16", "--data.val_fraction=0.2"),
            *("--model.image_size=32", "--model.local_size=16", "--model.prototypes=64"),
            *("--model.head_dim=32", "--trainer.enable_progress_bar=false", "--trainer.callbacks=[]"),
        ]
        command = ["bash", str(CLUSTER / script), *small, *options]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return subprocess.Popen(command, cwd=ROOT, env=os.environ | environment | {"PATH": path}, **pipes)

    return run


def processes(checkpoint):
    """How many processes consumed the windows of a checkpoint, and after how many steps."""
    content = torch.load(checkpoint, weights_only=True)
    consumed = content["SimulatedDataModule"]
    return consumed["windows"] / (4 * consumed["batches"]), content["global_step"]


def wait_for(path, process):
    while not path.exists():
        assert process.poll() is None, process.communicate()[0][-3000:]
        time.sleep(0.05)


def test_slurm_runs_on_two_nodes(start, tmp_path):
    (tmp_path / "srun").write_text(SRUN)
    (tmp_path / "srun").chmod(0o755)
    job = {"SLURM_JOB_ID": "4711", "SLURM_NNODES": "2", "SLURM_NTASKS_PER_NODE": "1"}
    process = start("slurm.sbatch", "--trainer.accelerator=cpu", "--trainer.max_epochs=1", **job)
    written = process.communicate(timeout=300)[0]
    assert process.returncode == 0, written[-3000:]
    assert processes(tmp_path / "run" / "version_0" / "checkpoints" / "last.ckpt") == (2, 2)


def test_torchrun_goes_on_after_sigterm(start, tmp_path):
    script = {"NPROC": "2", "ACCELERATOR": "cpu"}
    process = start("torchrun.sh", "--trainer.max_epochs=50", **script)
    wait_for(tmp_path / "run" / "version_0" / "checkpoints" / "last.ckpt", process)
    process.send_signal(signal.SIGTERM)
    written = process.communicate(timeout=300)[0]
    assert process.returncode != 0, written[-3000:]
    (left,) = (tmp_path / "run").glob("hpc_ckpt_*.ckpt")
    world, step = processes(left)
    assert world == 2
    process = start("torchrun.sh", f"--trainer.max_epochs={step // 2 + 1}", **script)
    written = process.communicate(timeout=300)[0]
    assert process.returncode == 0, written[-3000:]
    assert f"Restored all states from the checkpoint at {left}" in written
