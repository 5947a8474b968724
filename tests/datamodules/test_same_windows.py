"""Two processes together see the windows that one process sees."""

import json
import runpy
import socket
import subprocess
import sys
from pathlib import Path

import pytest

PROCESS = Path(__file__).with_name("windows_process.py")
WORLD = 2


@pytest.fixture
def ranks(two_sensors):
    """What each of two processes saw."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    commands = [
        [sys.executable, str(PROCESS), *map(str, (two_sensors, rank, WORLD, port))] for rank in range(WORLD)
    ]
    processes = [subprocess.Popen(command) for command in commands]
    assert [process.wait(timeout=180) for process in processes] == [0] * WORLD
    return [json.loads((two_sensors / f"{rank}.json").read_text()) for rank in range(WORLD)]


def together(ranks, run):
    """Batches of all processes as one: a window of each in turn."""
    batches = zip(*(rank[run] for rank in ranks), strict=True)
    return [[window for turn in zip(*parts, strict=True) for window in turn] for parts in batches]


def test_two_processes_see_the_windows_of_one_also_after_a_resume(ranks, two_sensors):
    alone = runpy.run_path(str(PROCESS))
    stop, batches, size = alone["STOP"], alone["BATCHES"], alone["WINDOWS"]
    whole = alone["seen"](two_sensors, max_steps=2 * batches)
    assert [len(batch) for batch in whole] == [size] * 2 * batches
    assert whole[:batches] != whole[batches:]
    assert together(ranks, "whole") == whole
    assert together(ranks, "before") == whole[:stop]
    assert together(ranks, "after") == whole[stop:]
    for epoch in (whole[:batches], whole[batches:]):
        windows = [tuple(window) for batch in epoch for window in batch]
        assert len(set(windows)) == len(windows)
    # What two processes left off, one goes on with.
    resumed = alone["seen"](two_sensors, max_steps=2 * batches, resumed=two_sensors / "stopped.ckpt")
    assert resumed == whole[stop:]
