"""Parts of a benchmark in processes of their own, so that each one's memory can be told."""

import ctypes
import gc
import json
import subprocess
import sys
from typing import Any

MB = 1e6


def in_fresh_process(script: str, *arguments: str) -> dict[str, Any]:
    """What a script prints as its last line, a JSON object, when called with arguments."""
    called = subprocess.run(
        [sys.executable, script, *arguments], stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(called.stdout.splitlines()[-1])


def resident_mb() -> tuple[float, float]:
    """Memory of this process now, and at its peak.

    The kernel's peak of this program: that of ``getrusage`` may be the parent's.
    """
    fields = fields_of("/proc/self/status")
    return fields["VmRSS"], fields["VmHWM"]


def settled_mb() -> float:
    """Memory of this process once all that it no longer needs is given back to the system."""
    gc.collect()
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)
    return resident_mb()[0]


def shares_mb(process: int | str) -> tuple[float, float]:
    """Memory of a process, pages shared with others in equal parts; and that which it has alone."""
    fields = fields_of(f"/proc/{process}/smaps_rollup")
    return fields["Pss"], fields["Private_Clean"] + fields["Private_Dirty"]


def fields_of(path: str) -> dict[str, float]:
    """Sizes in MB that a file of the kernel names."""
    with open(path) as file:
        lines = (line.split() for line in file)
        return {words[0][:-1]: int(words[1]) * 1024 / MB for words in lines if words[-1] == "kB"}
