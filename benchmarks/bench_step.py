"""A whole training step against that of the X-STARS release, and against TorchGeo's nearest task.

From views that are there already (bench_views.py has these) to the moved teacher, in float32: two sensors,
2 global crops of 224 pixels and 6 local ones of 96, 65,536 prototypes, the same views for both. The release
passes the trunk by sensor and size of crop, without fused attention, passes each whole window once more for
its alignment, and computes that token by token, its gradient restored. With equal weights the DINO losses are
equal, which shows that the same is learned; the alignments are two different formulas.

Ours and the release's take their turns in processes of their own, since both do not fit in memory at once,
now one first and now the other. The first two steps of each do not count, with which they get their memory.
Ours keeps freed blocks of memory, as the command line does on the CPU; the release has glibc's defaults, as
it has when it is run, and then kept blocks as well, so that it can be told what the step brings and what the
allocator.
Memory is that of the step: the peak of the process less what it had before its first step. TorchGeo's MoCo v3
has two passes of a student and two of a teacher like DINO on global crops alone; it is compared with a step
of ours without local crops, on the same number of images, all else equal. Compiled are the blocks of student
and teacher, one by one, for which a C++ compiler is needed.

    python benchmarks/bench_step.py
"""

import json
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import torch
import torch.nn.functional as F

from floor import Floor, bare_copy, bare_product, floor_of
from measure import settled, spread
from ours import SENSORS, OurStep, batch
from peers.release_step import ReleaseStep, standardized
from peers.torchgeo_step import TorchGeoStep
from processes import in_fresh_process, resident_mb, settled_mb
from xstars_lightning.allocator import keep_blocks

BACKBONES = ("vit_tiny_patch16_224", "vit_small_patch16_224")
SMALL, LARGE = 8, 32  # batches, of which the larger takes minutes per round
ROUNDS, STEPS = {SMALL: 3, LARGE: 2}, {SMALL: 2, LARGE: 1}
GOALS = {"time": 1.6, "memory": 0.7}


def ours(backbone: str, windows: int, device: str = "cpu", **options: Any) -> Callable[[], float]:
    """Our step."""
    step = OurStep(backbone, device=device, **options)
    views = step.task.views(batch(SENSORS, windows, device=device))
    return lambda: step(views)


def compiled(backbone: str, windows: int, device: str = "cpu", **options: Any) -> Callable[[], float]:
    """Our step with the blocks of student and teacher compiled, one by one."""
    step = OurStep(backbone, device=device, **options)
    for encoder in (step.task.model, step.task.teacher):
        for block in encoder.trunk.blocks:
            block.compile(dynamic=False, fullgraph=True)  # for each size of crops, and all of the block
    views = step.task.views(batch(SENSORS, windows, device=device))
    return lambda: step(views)


def release(
    backbone: str, windows: int, device: str = "cpu", precision: torch.dtype | None = None
) -> Callable[[], float]:
    """The release's, of the same views, and of whole windows of 224 pixels for its alignment."""
    task, images = OurStep(backbone, device=device).task, batch(SENSORS, windows, device=device)
    views = standardized(task.model, task.views(images))
    whole = {name: F.interpolate(images[f"image_{name}"], 224) for name in SENSORS}
    whole = {name: task.model.standardize[name](image) for name, image in whole.items()}
    step = ReleaseStep(backbone, precision=precision).to(device)
    return lambda: step.step(views, whole)


def torchgeo(backbone: str, windows: int) -> Callable[[], float]:
    """TorchGeo's, on pairs of the global crops of both sensors."""
    task = OurStep(backbone, local_crops=0).task
    crops = standardized(task.model, task.views(batch(SENSORS, windows)))
    pairs = torch.cat([torch.cat(crop.globals.chunk(2), dim=1) for crop in crops.values()])
    step = TorchGeoStep(backbone)
    return lambda: step.step(pairs)


def keep_activations(prepare: Callable[[], Callable[[], float]]) -> Callable[[], float]:
    """A step whose perceptrons keep their activations for the gradient, as timm's do."""
    with patch("xstars_lightning.tasks.xstars.recompute_activations"):
        return prepare()


WAYS: dict[str, Callable[[str, int], Callable[[], float]]] = {
    "ours": ours,
    "release": release,
    "release, kept blocks": release,
    "ours, checkpointed": lambda *case: ours(*case, gradient_checkpointing=True),
    "ours, glibc's defaults": ours,
    "ours, activations kept": lambda *case: keep_activations(lambda: ours(*case)),
    "ours, compiled": compiled,
    "ours, bf16": lambda *case: ours(*case, precision=torch.bfloat16),
    "ours, global crops": lambda *case: ours(*case, local_crops=0),
    "TorchGeo": torchgeo,
}
DEFAULTS = ("release", "ours, glibc's defaults")


def measure(way: str, backbone: str, windows: int) -> dict[str, float]:
    """Median seconds of some steps in this process, and the memory in MB that they need."""
    torch.manual_seed(0)
    step = WAYS[way](backbone, windows)
    before = settled_mb()
    times = settled(step, STEPS[windows])
    return {"seconds": statistics.median(times), "MB": resident_mb()[1] - before}


def facts(backbone: str, windows: int) -> dict[str, float]:
    """What our step must do at least, and the DINO losses of both from equal weights."""
    torch.manual_seed(0)
    step, peer = OurStep(backbone), ReleaseStep(backbone)
    peer.take(step.task)
    views = step.task.views(batch(SENSORS, windows))
    with torch.no_grad():
        dino = {
            "DINO loss, ours": float(step.task.losses(views)["train_dino"]),
            "DINO loss, release": float(peer.dino(standardized(step.task.model, views))),
        }
    # The student's weights, their gradients and two moments, and the teacher's weights.
    state = 5 * sum(x.nbytes for x in step.task.parameters() if x.requires_grad)
    floor = floor_of(lambda: step(views), bare_product(), bare_copy(), state)
    return {**dino, **vars(floor)}


def in_turn(
    ways: Sequence[str], backbone: str, windows: int, rounds: int
) -> dict[str, dict[str, list[float]]]:
    """Seconds and MB of every round, by way."""
    found: dict[str, dict[str, list[float]]] = {way: {"seconds": [], "MB": []} for way in ways}
    for turn in range(rounds):
        for way in reversed(ways) if turn % 2 else ways:
            for key, value in in_fresh_process(__file__, way, backbone, str(windows)).items():
                found[way][key].append(value)
    return found


def ratio(one: Sequence[float], other: Sequence[float]) -> dict[str, float]:
    """How many times the other, round by round."""
    return spread([a / b for a, b in zip(one, other, strict=True)])


def compare(backbone: str, windows: int) -> dict[str, Any]:
    """A row: the release against ours."""
    ways = [way for way in WAYS if way == "ours" or way.startswith("release")]
    found = in_turn(ways, backbone, windows, ROUNDS[windows])
    mine, theirs, kept = (found[way] for way in ways)
    row: dict[str, Any] = {"backbone": backbone, "batch": windows}
    row["time, release / ours"] = ratio(theirs["seconds"], mine["seconds"])
    row["time, release with kept blocks / ours"] = ratio(kept["seconds"], mine["seconds"])
    row["memory, ours / release"] = ratio(mine["MB"], theirs["MB"])
    row["MB, ours"], row["MB, release"] = (round(statistics.median(x["MB"])) for x in (mine, theirs))
    return row | {"seconds": statistics.median(mine["seconds"])}


def compare_rest(backbone: str) -> dict[str, Any]:
    """TorchGeo's step against ours, and what options of ours bring."""
    rest = in_turn([way for way in WAYS if not way.startswith("release")], backbone, SMALL, ROUNDS[LARGE])
    seconds, memory = ({way: x[key] for way, x in rest.items()} for key in ("seconds", "MB"))
    again, plain, lean = "ours, checkpointed", "ours", "ours, activations kept"
    return {
        "backbone": backbone,
        "batch": SMALL,
        "TorchGeo / ours": ratio(seconds["TorchGeo"], seconds["ours, global crops"]),
        "glibc's defaults / kept blocks": ratio(seconds["ours, glibc's defaults"], seconds[plain]),
        "memory, glibc's defaults / kept blocks": ratio(memory["ours, glibc's defaults"], memory[plain]),
        "time, checkpointed / not": ratio(seconds[again], seconds[plain]),
        "memory, checkpointed / not": ratio(memory[again], memory[plain]),
        "time, activations kept / computed again": ratio(seconds[lean], seconds[plain]),
        "memory, activations kept / computed again": ratio(memory[lean], memory[plain]),
        "time, compiled / not": ratio(seconds["ours, compiled"], seconds[plain]),
        "time, bf16 / float32": ratio(seconds["ours, bf16"], seconds[plain]),
        "memory, bf16 / float32": ratio(memory["ours, bf16"], memory[plain]),
    }


def main() -> None:
    """Print one JSON object."""
    rows = []
    for backbone in BACKBONES:
        rows += add_facts(backbone, [compare(backbone, windows) for windows in (SMALL, LARGE)])
        print(rows[-2:], flush=True)
    options = [compare_rest(backbone) for backbone in BACKBONES]
    result = {"benchmark": "Training step", "goals": GOALS}
    print(json.dumps(result | {"rows": rows, "Bounds and options": options}))


def add_facts(backbone: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put into rows what was counted for the smallest batch; operations and activations grow with it."""
    counted = in_fresh_process(__file__, "facts", backbone, str(SMALL))
    floor = Floor(*(counted.pop(name) for name in ("operations", "bytes", "product", "copy", "state")))
    for row in rows:
        times = row["batch"] / SMALL
        larger = replace(floor, operations=floor.operations * times, bytes=floor.bytes * times)
        row.update(counted | larger.share_of(row.pop("seconds")))
    return rows


if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    else:
        way, backbone, windows = sys.argv[1:]
        if way not in DEFAULTS:
            keep_blocks()
        part = facts(backbone, int(windows)) if way == "facts" else measure(way, backbone, int(windows))
        print(json.dumps(part))
