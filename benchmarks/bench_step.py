"""A whole training step against that of the X-STARS release, and against TorchGeo's nearest task.

From views that are there already (bench_views.py has these) to the moved teacher, in float32: two sensors,
2 global crops of 224 pixels and 6 local ones of 96, 65,536 prototypes, the same views for both. The release
passes the trunk by sensor and size of crop, without fused attention, passes each whole window once more for
its alignment, and computes that token by token, its gradient restored. With equal weights the DINO losses are
equal, which shows that the same is learned; the alignments are two different formulas.

Memory is that of the step: the peak of a process of its own, less what it had before its first step.
Two options of ours are measured too: gradient checkpointing, and keeping freed blocks of memory (what the
command line does on the CPU, and all else here) against glibc's defaults, in turn in processes of their own.
TorchGeo's MoCo v3 has two passes of a student and two of a teacher like DINO on global crops alone; it is
compared with a step of ours without local crops, on the same number of images.

    python benchmarks/bench_step.py
"""

import json
import statistics
import sys
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from floor import bare_copy, bare_product, floor_of
from measure import in_turn, machine
from ours import SENSORS, OurStep, batch
from peers.release_step import ReleaseStep, standardized
from peers.torchgeo_step import TorchGeoStep
from processes import in_fresh_process, resident_mb
from xstars_lightning.allocator import keep_blocks

BACKBONES, BATCHES, ROUNDS = ("vit_tiny_patch16_224", "vit_small_patch16_224"), (8, 32), 3
GOALS = {"time": 1.6, "memory": 0.7}


def windows_of(ours: OurStep, images: dict[str, Tensor]) -> dict[str, Tensor]:
    """Whole windows, standardised and of 224 pixels, as the release aligns them."""
    change = ours.task.model.standardize
    return {name: change[name](F.interpolate(images[f"image_{name}"], 224)) for name in SENSORS}


def compare_times(backbone: str, windows: int) -> dict[str, Any]:
    """Both steps in turn, from equal weights."""
    torch.manual_seed(0)
    ours, peer = OurStep(backbone), ReleaseStep(backbone)
    peer.take(ours.task)
    images = batch(SENSORS, windows)
    views = ours.task.views(images)
    theirs, whole = standardized(ours.task.model, views), windows_of(ours, images)
    with torch.no_grad():
        dino = {"ours": float(ours.task.losses(views)["train_dino"]), "release": float(peer.dino(theirs))}
    floor = floor_of(lambda: ours(views), bare_product(), bare_copy())
    measured = in_turn({"ours": lambda: ours(views), "release": lambda: peer.step(theirs, whole)}, ROUNDS)
    return {
        "release / ours": measured.ratio("release", "ours"),
        "DINO loss, release": dino["release"],
        "DINO loss, ours": dino["ours"],
        **floor.share_of(measured.seconds("ours")["median"]),
    }


def step_memory(way: str, backbone: str, windows: int) -> dict[str, float]:
    """Memory in MB that two steps of one way need above what was there before."""
    torch.manual_seed(0)
    ours = OurStep(backbone, gradient_checkpointing=way == "checkpointed")
    images = batch(SENSORS, windows)
    views = ours.task.views(images)
    peer, theirs, whole = None, standardized(ours.task.model, views), windows_of(ours, images)
    if way == "release":
        peer = ReleaseStep(backbone)
        del ours
    before, _ = resident_mb()
    for _ in range(2):
        peer.step(theirs, whole) if peer else ours(views)
    return {"MB": resident_mb()[1] - before}


def checkpointing(backbone: str, windows: int) -> dict[str, Any]:
    """A step that computes blocks again, and one that keeps them."""
    steps = {name: OurStep(backbone, gradient_checkpointing=again) for name, again in CHECKPOINTING.items()}
    views = steps["kept"].task.views(batch(SENSORS, windows))
    ways = {name: lambda step=step: step(views) for name, step in steps.items()}
    measured = in_turn(ways, ROUNDS)
    return {"checkpointed / kept": measured.ratio("checkpointed", "kept")}


def alone(backbone: str, windows: int) -> dict[str, Any]:
    """Seconds of our step in this process."""
    step = OurStep(backbone)
    views = step.task.views(batch(SENSORS, windows))
    return {"times": in_turn({"ours": lambda: step(views)}, ROUNDS).times["ours"]}


def against_torchgeo(backbone: str, windows: int) -> dict[str, Any]:
    """A step without local crops, and TorchGeo's of as many images."""
    torch.manual_seed(0)
    ours, peer = OurStep(backbone, local_crops=0), TorchGeoStep(backbone)
    views = ours.task.views(batch(SENSORS, windows))
    crops = standardized(ours.task.model, views)
    pairs = torch.cat([torch.cat(crop.globals.chunk(2), dim=1) for crop in crops.values()])
    measured = in_turn({"ours": lambda: ours(views), "torchgeo": lambda: peer.step(pairs)}, ROUNDS)
    return {"backbone": backbone, "batch": windows, "TorchGeo / ours": measured.ratio("torchgeo", "ours")}


def part(name: str, *arguments: str) -> dict[str, Any]:
    """A part of the benchmark in a process of its own."""
    return in_fresh_process(__file__, name, *arguments)


def main() -> None:
    """Print one JSON object."""
    rows, bounds, options = [], [], []
    for backbone in BACKBONES:
        for windows in BATCHES:
            case = (backbone, str(windows))
            row = {"backbone": backbone, "batch": windows, **part("times", *case)}
            ours, release = (part("memory", way, *case)["MB"] for way in ("ours", "release"))
            row |= {
                "MB, ours": round(ours),
                "MB, release": round(release),
                "memory": round(ours / release, 2),
            }
            rows.append(row)
            print(row, flush=True)
        bounds.append(part("torchgeo", backbone, str(BATCHES[0])))
        options.append({"backbone": backbone, "batch": BATCHES[0], **_options(backbone, str(BATCHES[0]))})
    result = {"benchmark": "Training step", "goals": GOALS, "machine": machine()}
    print(json.dumps(result | {"rows": rows, "TorchGeo": bounds, "Options": options}))


def _options(*case: str) -> dict[str, Any]:
    """What two options bring."""
    times: dict[str, list[float]] = {"alone": [], "alone, default": []}
    for _ in range(2):
        for name, found in times.items():
            found += part(name, *case)["times"]
    kept, default = times.values()
    less, more = (part("memory", way, *case)["MB"] for way in ("checkpointed", "ours"))
    return {
        "glibc's defaults / kept blocks": round(statistics.median(default) / statistics.median(kept), 2),
        **part("checkpointing", *case),
        "memory, checkpointed / kept": round(less / more, 2),
    }


CHECKPOINTING = {"kept": False, "checkpointed": True}
PARTS: dict[str, Callable[..., dict[str, Any]]] = {
    "times": compare_times,
    "memory": step_memory,
    "torchgeo": against_torchgeo,
    "checkpointing": checkpointing,
    "alone": alone,
    "alone, default": alone,
}

if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    else:
        name, *strings, count = sys.argv[1:]
        if not name.endswith("default"):
            keep_blocks()
        print(json.dumps(PARTS[name](*strings, int(count))))
