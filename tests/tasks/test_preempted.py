"""A run that is told to leave, and started again, equals the run left alone, bit for bit."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

from xstars_lightning.models import load_encoder

FSDP = Path(__file__).parents[2] / "docs" / "cluster" / "fsdp.yaml"
SCRIPT = Path(__file__).with_name("preempted_process.py")
SMALL = {
    "model": {
        **{"backbone": "vit_tiny_patch16_224", "image_size": 32, "local_size": 16, "local_crops": 2},
        **{"prototypes": 64, "head_dim": 32, "warmup": 0.2, "drop_path_rate": 0.2},
    },
    "data": {
        "sensors": "{high: sentinel2_rgb, low: sentinel2_rgb}",
        **{"window": 240, "batch_size": 2, "windows_per_epoch": 12},
    },
    "trainer": {
        **{"max_epochs": 2, "accelerator": "cpu", "enable_progress_bar": "false"},
        **{"enable_model_summary": "false", "limit_val_batches": 2, "log_every_n_steps": 1},
    },
}
ALONE = [{}]


@pytest.fixture
def start(two_sensors, tmp_path):
    """Starts the command in several rounds, each (folder, signal, step, environments, options)."""

    def run(rounds, sender=0):
        small = [f"--{part}.{key}={value}" for part, some in SMALL.items() for key, value in some.items()]
        paths = f"--data.paths={{high: {two_sensors}/high, low: {two_sensors}/low}}"
        small = ["--model=XStars", "--data=CrossSensorDataModule", paths, *small]
        given = []
        for folder, number, step, environments, *options in rounds:
            folder.mkdir(exist_ok=True)
            command = [*small, *options, f"--trainer.default_root_dir={folder}"]
            given.append((environments, str(folder), number, step, sender, command))
        path = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
        command = [sys.executable, str(SCRIPT), json.dumps(given)]
        done = subprocess.run(command, env=os.environ | path, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout.splitlines()[-1]), done.stderr

    return run


def assert_equal(whole, resumed, ranks, batches):
    for rank in range(ranks):
        left, right = (
            (folder / f"losses_{rank}.txt").read_text().splitlines() for folder in (whole, resumed)
        )
        assert left == right
        assert len(left) == batches
        left, right = (torch.load(folder / f"weights_{rank}.pt") for folder in (whole, resumed))
        assert all(torch.equal(left[name], right[name]) for name in left)


def validations(folder):
    """What was measured in the validations of all starts but those before training, by epoch and step."""
    paths = sorted(folder.glob("version_*/metrics.csv"))
    rows = pd.concat([pd.read_csv(path) for path in paths])
    values = [name for name in rows if name.startswith("val_")]
    return rows.dropna(subset=["epoch", *values])[["epoch", "step", *sorted(values)]].values.tolist()


def slurm():
    """What srun tells two processes of a job array."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    job = {"SLURM_JOB_ID": "4712", "SLURM_ARRAY_JOB_ID": "4711", "SLURM_ARRAY_TASK_ID": "3"}
    job |= {"SLURM_JOB_NAME": "train", "SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2", "SLURM_NNODES": "1"}
    job |= {"SLURM_NODEID": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    return [job | {"SLURM_PROCID": rank, "SLURM_LOCALID": rank} for rank in "01"]


def test_slurm_requeues_two_processes_of_which_one_got_the_signal(start, tmp_path):
    scontrol = tmp_path / "scontrol"
    scontrol.write_text(f'#!/bin/sh\nsleep 1\necho "$@" >> {tmp_path}/asked.txt\nexit 1\n')
    scontrol.chmod(0o755)
    whole, requeued = tmp_path / "whole", tmp_path / "requeued"
    options = ("--trainer.devices=2", "--trainer.strategy=ddp")
    same = (requeued, "SIGUSR1", 2, slurm(), *options)
    codes, written = start([(whole, "SIGUSR1", -1, slurm(), *options), same, same], sender=1)
    assert codes == [[0, 0], [128 + signal.SIGUSR1] * 2, [0, 0]], written
    assert (tmp_path / "asked.txt").read_text() == "requeue 4711_3\n"
    assert "job 4711_3 was not requeued" in written
    assert_equal(whole, requeued, ranks=2, batches=6)


def test_sigterm_leaves_a_checkpoint_between_steps(start, tmp_path):
    """In mid-epoch, in the second of two batches of a step; and in the last step of an epoch."""
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    resume = ("--trainer.accumulate_grad_batches=2", "--ckpt_path=hpc")
    codes, written = start(
        [
            (whole, "SIGTERM", -1, ALONE, *resume[:1]),
            (stopped, "SIGTERM", 2, ALONE, *resume[:1]),
            (stopped, "SIGTERM", 3, ALONE, *resume),
            (stopped, "SIGTERM", -1, ALONE, *resume),
        ]
    )
    assert codes == [[0], [128 + signal.SIGTERM], [128 + signal.SIGTERM], [0]], written
    assert sorted(path.name for path in stopped.glob("*.ckpt")) == ["hpc_ckpt_2.ckpt", "hpc_ckpt_3.ckpt"]
    assert_equal(whole, stopped, ranks=1, batches=12)
    assert len(validations(whole)) == 2
    assert validations(stopped) == validations(whole)
    # The second start left after the validation of an epoch, of which the best and the last state were kept.
    assert len(list((stopped / "version_1" / "checkpoints").glob("*.ckpt"))) == 2


def test_a_validation_within_an_epoch_that_is_due_comes_first(start, tmp_path):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    options = ("--trainer.val_check_interval=3", "--trainer.max_epochs=1")
    same = (stopped, "SIGTERM", 3, ALONE, *options)
    codes, written = start([(whole, "SIGTERM", -1, ALONE, *options), same, (*same, "--ckpt_path=hpc")])
    assert codes == [[0], [128 + signal.SIGTERM], [0]], written
    assert_equal(whole, stopped, ranks=1, batches=6)
    assert len(validations(whole)) == 2
    assert validations(stopped) == validations(whole)


def test_sharded_processes_equal_ddp_and_go_on_too(start, tmp_path):
    """Their checkpoints are those of DDP, in one file; gradients are clipped by the norm over all shards."""
    ddp, fsdp = tmp_path / "ddp", tmp_path / "fsdp"
    options = ("--trainer.devices=2", "--trainer.strategy=ddp", "--trainer.gradient_clip_val=0.1")
    options += ("--trainer.max_epochs=1", "--data.windows_per_epoch=16")
    sharded = (*options, f"--config={FSDP}")
    codes, written = start(
        [
            (ddp, "SIGTERM", 4, slurm(), *options),
            (fsdp, "SIGTERM", 2, slurm(), *sharded),
            (fsdp, "SIGTERM", 4, slurm(), *sharded),
        ]
    )
    assert codes == [[128 + signal.SIGTERM] * 2] * 3, written
    assert "ModelParallelStrategy" in (fsdp / "version_0" / "config.yaml").read_text()
    for rank in range(2):
        left, right = ((folder / f"losses_{rank}.txt").read_text().split() for folder in (ddp, fsdp))
        assert left[::2] == right[::2] == [str(batch) for batch in range(4)]
        for one, other in zip(left[1::2], right[1::2], strict=True):
            assert abs(float.fromhex(one) - float.fromhex(other)) < 1e-5
    left, right = (
        torch.load(folder / "hpc_ckpt_4.ckpt", weights_only=True)["state_dict"] for folder in (ddp, fsdp)
    )
    torch.testing.assert_close(right, left, rtol=0, atol=1e-5)
    load_encoder(fsdp / "hpc_ckpt_4.ckpt")
