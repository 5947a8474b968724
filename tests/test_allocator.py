import ctypes
import platform
import subprocess
import sys

import pytest

from xstars_lightning.allocator import return_blocks
from xstars_lightning.datamodules import CrossSensorDataModule

glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc's allocator")

FAULTS = """
import resource, sys, torch
from xstars_lightning import allocator
for way in sys.argv[1:]:
    getattr(allocator, way)()
for _ in range(12):  # aligned blocks fit again once their neighbours are free too
    torch.zeros(2**24)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(4):
    torch.zeros(2**24)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(*ways):
    """Pages that the system hands out for blocks of 64 MiB, which were had and freed a dozen times."""
    done = subprocess.run([sys.executable, "-c", FAULTS, *ways], capture_output=True, text=True, check=True)
    return int(done.stdout)


@glibc
def test_kept_blocks_cost_no_new_pages_and_returned_ones_do():
    kept, returned = faults("keep_blocks"), faults("keep_blocks", "return_blocks")
    assert kept < returned / 10


@glibc
def test_the_allocator_takes_it():
    assert return_blocks() is True


def test_loaders_return_blocks_in_their_workers(two_sensors):
    paths = {key: str(two_sensors / key) for key in ("high", "low")}
    sensors = dict.fromkeys(paths, "sentinel2_rgb")
    dm = CrossSensorDataModule(paths, sensors, window=240, batch_size=4, windows_per_epoch=16)
    dm.setup("validate")
    assert dm.train_dataloader().worker_init_fn is return_blocks


def test_other_systems_are_left_alone(monkeypatch):
    def refuse(name):
        raise TypeError("no library of the process itself")

    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(ctypes, "CDLL", refuse)
    assert return_blocks() is False
