"""What the tests of losses share."""

import socket
import subprocess
import sys

import pytest
import torch


@pytest.fixture
def two_processes(tmp_path):
    """Runs a script as two processes, script RANK PORT FILE ARGUMENTS, and returns what they saved."""

    def run(script, *arguments):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        files = [tmp_path / f"{rank}.pt" for rank in range(2)]
        commands = [
            [sys.executable, *map(str, (script, rank, port, file, *arguments))]
            for rank, file in enumerate(files)
        ]
        processes = [subprocess.Popen(command) for command in commands]
        assert [process.wait(timeout=120) for process in processes] == [0, 0]
        return [torch.load(file) for file in files]

    return run
