"""Several ways to do one thing, timed in turn, so that a machine that slows down slows all of them."""

import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from xstars_lightning.evaluation.provenance import versions

Spread = dict[str, float]


@dataclass(frozen=True)
class Measured:
    """Times and results of several ways.

    Args:
        times: Seconds of every round, by way.
        values: What each way returned last, such as its loss.
    """

    times: dict[str, list[float]] = field(default_factory=dict)
    values: dict[str, float] = field(default_factory=dict)

    def seconds(self, name: str) -> Spread:
        """Median, smallest and largest time of a way."""
        return spread(self.times[name])

    def ratio(self, slow: str, fast: str) -> Spread:
        """How many times as long ``slow`` takes, round by round."""
        return spread([a / b for a, b in zip(self.times[slow], self.times[fast], strict=True)])


def in_turn(ways: Mapping[str, Callable[[], Tensor | float]], rounds: int) -> Measured:
    """Time every way once per round, after one round that warms up and does not count."""
    measured = Measured({name: [] for name in ways})
    for turn in range(rounds + 1):
        for name, way in ways.items():
            start = time.perf_counter()
            value = float(way())
            if turn:
                measured.times[name].append(time.perf_counter() - start)
            measured.values[name] = value
    return measured


def settled(step: Callable[[], Any], steps: int) -> list[float]:
    """Seconds of some steps.

    Two before them do not count: gradients and the optimizer's moments, which the first makes, take room
    that activations had, so that the second asks for more memory. From the third on all is there.
    """
    times = []
    for _ in range(steps + 2):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return times[2:]


def spread(values: list[float]) -> Spread:
    """Median, minimum and maximum, to four digits."""
    numbers = {"median": statistics.median(values), "min": min(values), "max": max(values)}
    return {name: float(f"{value:.4g}") for name, value in numbers.items()}


def machine() -> dict[str, str | int]:
    """On what numbers are measured."""
    gpu = {"GPU": torch.cuda.get_device_name()} if torch.cuda.is_available() else {}
    torch_version = versions()["torch"]
    return {"processor": _processor(), "threads": torch.get_num_threads(), **gpu, "torch": torch_version}


def _processor() -> str:
    """Model of the processor, where the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "unknown")
