"""Training in bf16, on a GPU if there is one and else, in small, on the CPU.

The steps of bench_step.py and the alignment branch of bench_alignment.py with forward passes in bf16 by
autocast, both on views that are there; steps in processes of their own, in turn. Memory is what a step needs
at its peak. The share of the product's rate is the operations of our step over those of a bare product of
bf16 matrices in the same time: its model-FLOPs utilisation, with a ceiling that was measured. The share of
views is the time in which that device makes them, of that and the step. The largest costs are shares of the
profiled time of a step. Images per second count the windows of both sensors, each with all its crops, and
are given on a GPU only. Of bf16 a CPU gains something if it has units for it. Compiled are the blocks, as in
bench_step.py.

    python benchmarks/bench_mixed.py [backbone batch]
"""

import json
import statistics
import sys
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.autograd import DeviceType

from bench_alignment import ways_of
from bench_step import compiled, ours, ratio, release
from floor import bare_copy, bare_product, fastest, floor_of
from measure import in_turn, settled
from ours import SENSORS, OurStep, batch
from processes import in_fresh_process, resident_mb, settled_mb
from xstars_lightning.allocator import keep_blocks

GPU = torch.cuda.is_available()
DEVICE = "cuda" if GPU else "cpu"
SMALL, BASE = "vit_small_patch16_224", "vit_base_patch16_224"
CASES = [(backbone, windows) for backbone in (SMALL, BASE) for windows in (64, 128, 256, 512)]
CASES = CASES if GPU else [(SMALL, 8)]
STEPS, ROUNDS = 10 if GPU else 2, 3
GOALS = {"time, alignment": 8, "time, step": 3, "share of the product's rate": 0.5}
BF16: dict[str, Any] = {"device": DEVICE, "precision": torch.bfloat16}
WAYS = {"ours": ours, "release": release, "compiled": compiled}
TOO_MUCH = "out of memory"


def measure(way: str, backbone: str, windows: int) -> dict[str, float]:
    """Median seconds of some steps in this process and the MB that they need; nothing if that is too much."""
    torch.manual_seed(0)
    try:
        step = WAYS[way](backbone, windows, **BF16)
        before = settled_mb()
        if GPU:
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated() / 1e6
        times = settled(step, STEPS)  # a step returns a number, for which the device must have finished
    except torch.OutOfMemoryError:
        return {}
    peak = torch.cuda.max_memory_allocated() / 1e6 if GPU else resident_mb()[1]
    return {"seconds": statistics.median(times), "MB": peak - before}


def align(backbone: str, windows: int) -> dict[str, Any]:
    """How many times as long the release's alignment branch takes as ours."""
    try:
        measured = in_turn(ways_of(backbone, windows, **BF16), ROUNDS)
    except torch.OutOfMemoryError:
        return {"time, alignment, release / ours": TOO_MUCH}
    return {"time, alignment, release / ours": measured.ratio("release", "ours")}


def facts(backbone: str, windows: int) -> dict[str, Any]:
    """Seconds that the operations of our step take as bare products, those of views; the largest costs."""
    our_step, images = OurStep(backbone, **BF16), batch(SENSORS, windows, device=DEVICE)
    views = our_step.task.views(images)

    def step() -> float:
        return our_step(views)

    step()
    product = bare_product(*((8192, 8192) if GPU else (6304, 384)), **BF16)
    floor = floor_of(step, product, bare_copy(device=DEVICE))
    return {
        "products": floor.operations / floor.product,
        "views": fastest(lambda: our_step.task.views(images)),
        "largest costs": largest_costs(step),
    }


def largest_costs(step: Callable[[], float], number: int = 3) -> str:
    """Names and shares of the operations in which a step spends most of its time."""
    with torch.profiler.profile() as profile:
        step()
    # An operation and the kernel that it starts are both listed, with the same time on the device.
    place, kind = (DeviceType.CUDA, "device") if GPU else (DeviceType.CPU, "cpu")
    events = [x for x in profile.key_averages() if x.device_type == place and not x.is_user_annotation]
    spent = {event.key: getattr(event, f"self_{kind}_time_total") for event in events}
    largest = sorted(spent, key=spent.__getitem__, reverse=True)[:number]
    return ", ".join(f"{name} {spent[name] / sum(spent.values()):.0%}" for name in largest)


def compare(backbone: str, windows: int) -> dict[str, Any]:
    """A row: the release against ours."""
    case = (backbone, str(windows))
    row: dict[str, Any] = {"backbone": backbone, "batch": windows}
    rounds = [{way: in_fresh_process(__file__, way, *case) for way in WAYS} for _ in range(ROUNDS)]
    mine, theirs, faster = ([one[way] for one in rounds] for way in ("ours", "release", "compiled"))
    if not all(mine):
        return row | {"MB, ours": TOO_MUCH}
    for name, key in (("time, release / ours", "seconds"), ("memory, release / ours", "MB")):
        row[name] = ratio(*([x[key] for x in side] for side in (theirs, mine))) if all(theirs) else TOO_MUCH
    if all(faster):
        row["time, compiled / not"] = ratio(*([x["seconds"] for x in side] for side in (faster, mine)))
    row["MB, ours"] = round(statistics.median(x["MB"] for x in mine))
    taken = statistics.median(x["seconds"] for x in mine)
    row |= {"images per second": round(2 * windows / taken)} if GPU else {}
    counted = in_fresh_process(__file__, "facts", *case)
    row["share of the product's rate"] = round(counted["products"] / taken, 2)
    row["share of views"] = round(counted["views"] / (counted["views"] + taken), 3)
    row["largest costs"] = counted["largest costs"]
    return row | in_fresh_process(__file__, "align", *case)


def main(cases: Iterable[tuple[str, int]]) -> None:
    """Print one JSON object."""
    rows = []
    for backbone, windows in cases:
        rows.append(compare(backbone, windows))
        print(rows[-1], flush=True)
    print(json.dumps({"benchmark": "Mixed precision", "goals on a GPU": GOALS, "rows": rows}))


if __name__ == "__main__":
    if len(sys.argv) <= 3:
        main([(sys.argv[1], int(sys.argv[2]))] if len(sys.argv) == 3 else CASES)
    else:
        keep_blocks()
        part, backbone, windows = sys.argv[1:]
        parts = {"facts": facts, "align": align}
        print(
            json.dumps(
                parts[part](backbone, int(windows))
                if part in parts
                else measure(*sys.argv[1:3], int(windows))
            )
        )
