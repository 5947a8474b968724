"""Training in bf16, on a GPU if there is one and else, in small, on the CPU.

The steps of bench_step.py and the alignment branch of bench_alignment.py with forward passes in bf16 by
autocast; steps in processes of their own, in turn. Memory is what a step needs at its peak. The share of the
product's rate is the operations of our step over those of a bare product of bf16 matrices in the same time:
its model-FLOPs utilisation, with a ceiling that was measured. The largest costs are shares of the profiled
time of a step. Images per second count the windows of both sensors, each with all its crops, and are given
on a GPU only. Of bf16 a CPU gains something if it has units for it.

    python benchmarks/bench_mixed.py
"""

import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import torch

from bench_alignment import ways_of
from bench_step import ours, ratio, release
from floor import bare_copy, bare_product, floor_of
from measure import in_turn, machine
from processes import in_fresh_process, resident_mb, settled_mb
from xstars_lightning.allocator import keep_blocks

GPU = torch.cuda.is_available()
DEVICE = "cuda" if GPU else "cpu"
SMALL, BASE = "vit_small_patch16_224", "vit_base_patch16_224"
CASES = [(backbone, windows) for backbone in (SMALL, BASE) for windows in (64, 128, 256, 512)]
CASES = CASES if GPU else [(SMALL, 8)]
STEPS, ROUNDS = 10 if GPU else 2, 3
GOALS = {"time, alignment": 8, "time, step": 3, "share of the product's rate": 0.5}  # on a GPU
BF16: dict[str, Any] = {"device": DEVICE, "precision": torch.bfloat16}
WAYS = {"ours": ours, "release": release}
TOO_MUCH = "out of memory"


def measure(way: str, backbone: str, windows: int) -> dict[str, float]:
    """Median seconds of some steps in this process and the MB that they need; nothing if that is too much."""
    torch.manual_seed(0)
    step, times = WAYS[way](backbone, windows, **BF16), []
    before = torch.cuda.memory_allocated() / 1e6 if GPU else settled_mb()
    try:
        for _ in range(STEPS + 1):
            start = time.perf_counter()
            step()  # returns a number, for which the device must have finished
            times.append(time.perf_counter() - start)
    except torch.OutOfMemoryError:
        return {}
    peak = torch.cuda.max_memory_allocated() / 1e6 if GPU else resident_mb()[1]
    return {"seconds": statistics.median(times[1:]), "MB": peak - before}


def align(backbone: str, windows: int) -> dict[str, Any]:
    """How many times as long the release's alignment branch takes as ours; nothing if it needs too much."""
    try:
        measured = in_turn(ways_of(backbone, windows, **BF16), ROUNDS)
    except torch.OutOfMemoryError:
        return {}
    return {
        f"time, alignment, release / {way}": measured.ratio("release", way) for way in ("ours", "in a step")
    }


def facts(backbone: str, windows: int) -> dict[str, Any]:
    """Seconds that the operations of our step would take as bare products; the largest costs."""
    step = ours(backbone, windows, **BF16)
    step()
    product = bare_product(*((8192, 8192) if GPU else (6304, 384)), **BF16)
    floor = floor_of(step, product, bare_copy(device=DEVICE))
    return {
        "seconds of bare products": floor.operations / floor.product,
        "largest costs": largest_costs(step),
    }


def largest_costs(step: Callable[[], float], number: int = 3) -> str:
    """Names and shares of the operations in which a step spends most of its time."""
    with torch.profiler.profile() as profile:
        step()
    kind = f"self_{'device' if GPU else 'cpu'}_time_total"
    spent = {event.key: getattr(event, kind) for event in profile.key_averages()}
    largest = sorted(spent, key=spent.__getitem__, reverse=True)[:number]
    return ", ".join(f"{name} {spent[name] / sum(spent.values()):.0%}" for name in largest)


def compare(backbone: str, windows: int) -> dict[str, Any]:
    """A row: the release against ours."""
    case = (backbone, str(windows))
    row: dict[str, Any] = {"backbone": backbone, "batch": windows}
    rounds = [{way: in_fresh_process(__file__, way, *case) for way in WAYS} for _ in range(ROUNDS)]
    mine, theirs = ([one[way] for one in rounds] for way in ("ours", "release"))
    if not all(mine):
        return row | {"MB, ours": TOO_MUCH}
    for name, key in (("time, step", "seconds"), ("memory, release / ours", "MB")):
        row[name] = ratio(*([x[key] for x in side] for side in (theirs, mine))) if all(theirs) else TOO_MUCH
    taken = statistics.median(x["seconds"] for x in mine)
    row["MB, ours"] = round(statistics.median(x["MB"] for x in mine))
    row |= {"images per second": round(2 * windows / taken)} if GPU else {}
    counted = in_fresh_process(__file__, "facts", *case)
    row["share of the product's rate"] = round(counted.pop("seconds of bare products") / taken, 2)
    return row | in_fresh_process(__file__, "align", *case) | counted


def main() -> None:
    """Print one JSON object."""
    rows = []
    for backbone, windows in CASES:
        rows.append(compare(backbone, windows))
        print(rows[-1], flush=True)
    print(json.dumps({"benchmark": "Mixed precision", "goals": GOALS, "machine": machine(), "rows": rows}))


if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    else:
        keep_blocks()
        part, backbone, windows = sys.argv[1:]
        case = backbone, int(windows)
        others = {"facts": facts, "align": align}
        print(json.dumps(others[part](*case) if part in others else measure(part, *case)))
