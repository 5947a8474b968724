"""A run that is killed and resumed equals the run left alone, bit for bit."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).with_name("killed_process.py")
STEPS = 12  # 3 epochs of 4


def run(data, folder, kill_at=-1):
    folder.mkdir(exist_ok=True)
    command = [sys.executable, *map(str, (SCRIPT, data, folder, kill_at))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == (-signal.SIGKILL if kill_at > 0 else 0), done.stderr[-3000:]


def losses(folder):
    """Loss of each step; of a step that was taken twice, the later one."""
    return dict(line.split() for line in (folder / "losses.txt").read_text().splitlines())


@pytest.fixture
def data(two_sensors):
    return two_sensors


def test_killed_in_mid_epoch_and_between_steps_of_a_checkpoint(data, tmp_path):
    run(data, tmp_path / "whole")
    for kill_at in (7, 9):  # in mid-epoch, a step after a checkpoint; after the second epoch
        folder = tmp_path / f"killed_{kill_at}"
        run(data, folder, kill_at)
        assert len(losses(folder)) == kill_at
        run(data, folder)
        assert losses(folder) == losses(tmp_path / "whole")
        assert len(losses(folder)) == STEPS
        whole, resumed = (torch.load(path / "weights.pt") for path in (tmp_path / "whole", folder))
        assert all(torch.equal(whole[name], resumed[name]) for name in whole)
