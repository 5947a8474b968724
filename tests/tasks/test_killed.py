"""A run that is killed and resumed equals the run left alone, bit for bit."""

import signal
import subprocess
import sys
from pathlib import Path

import torch

SCRIPT = Path(__file__).with_name("killed_process.py")
STEPS = 12  # 3 epochs of 4


def run(data, folder, kill_at=-1):
    folder.mkdir(exist_ok=True)
    command = [sys.executable, *map(str, (SCRIPT, data, folder, kill_at))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == (-signal.SIGKILL if kill_at > 0 else 0), done.stderr[-3000:]


def losses(folder):
    """Loss of each step; of a step that was taken twice, the later one."""
    return dict(line.split() for line in (folder / "losses.txt").read_text().splitlines())


def test_killed_twice(two_sensors, tmp_path):
    """In mid-epoch, a step after the last checkpoint; and again in the next epoch."""
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    run(two_sensors, whole)
    for kill_at in (7, 9):
        run(two_sensors, killed, kill_at)
        assert len(losses(killed)) == kill_at
    run(two_sensors, killed)
    assert losses(killed) == losses(whole)
    assert len(losses(killed)) == STEPS
    left, resumed = (torch.load(folder / "weights.pt") for folder in (whole, killed))
    assert all(torch.equal(left[name], resumed[name]) for name in left)
