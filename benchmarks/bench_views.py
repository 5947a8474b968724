"""Multi-crop views of a batch at once against torchvision, one image after the other, on the CPU.

2 global crops of 224 pixels and 6 local ones of 96 of RGB windows. Torchvision changes float32 or uint8,
with the colour jitter of DINO or without hue and saturation, which ours does not touch; and, as loaders have
it, in two processes of one thread each. Decoding is not part of it.

    python benchmarks/bench_views.py
"""

import json
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from measure import in_turn
from ours import SENSORS, batch
from peers.torchvision_views import TorchvisionViews
from xstars_lightning.allocator import keep_blocks
from xstars_lightning.transforms import MultiCrop

WINDOWS, SIDES, ROUNDS, WORKERS, BATCHES = 32, (256, 512), 7, 2, 4
SIZES = (224, 96, 6)


class Samples(Dataset[Any]):
    """Images that are changed when they are asked for, over and over.

    Args:
        images: (B, 3, H, W).
        views: What changes them.
    """

    def __init__(self, images: Tensor, views: TorchvisionViews) -> None:
        self.images, self.views = images, views

    def __len__(self) -> int:
        """So many that the workers stay busy."""
        return BATCHES * len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Views of an image."""
        return self.views.sample(self.images[index % len(self.images)])


def compare(side: int) -> dict[str, Any]:
    """All ways for windows of a side, in pixels."""
    sensor = {"aerial": SENSORS["aerial"]}
    ours = MultiCrop(sensor, {"aerial": SIZES[0]}, {"aerial": SIZES[1]}, SIZES[2])
    windows = batch(sensor, WINDOWS, side)
    floats = windows["image_aerial"].clamp(0, 1)
    whole = (floats * 255).to(torch.uint8)
    dino, alike = TorchvisionViews(*SIZES), TorchvisionViews(*SIZES, colour=False)
    small = TorchvisionViews(*SIZES, dtype=torch.uint8, colour=False)
    keep = {"num_workers": WORKERS, "persistent_workers": True, "worker_init_fn": _one_thread}
    loader = DataLoader(Samples(floats, alike), WINDOWS, **keep)  # type: ignore[arg-type]
    ways = {
        "ours": lambda: len(ours(windows)),
        "DINO": lambda: len(dino(floats)),
        "same": lambda: len(alike(floats)),
        "uint8": lambda: len(small(whole)),
        "workers": lambda: sum(len(far) for far, _ in loader),
    }
    ways["workers"]()  # starts processes, after which this one's memory is copied as it is written again
    measured = in_turn(ways, ROUNDS)
    measured.times["workers"] = [seconds / BATCHES for seconds in measured.times["workers"]]
    return {
        "window": f"{side} px",
        "images per second, ours": round(WINDOWS / measured.seconds("ours")["median"]),
        "DINO's recipe / ours": measured.ratio("DINO", "ours"),
        "without hue / ours": measured.ratio("same", "ours"),
        "uint8, without hue / ours": measured.ratio("uint8", "ours"),
        f"{WORKERS} processes, without hue / ours": measured.ratio("workers", "ours"),
    }


def _one_thread(worker: int) -> None:
    torch.set_num_threads(1)


def main() -> None:
    """Print one JSON object."""
    keep_blocks()
    rows = [compare(side) for side in SIDES]
    print(json.dumps({"benchmark": "Multi-crop views", "goal": 1.0, "rows": rows}))


if __name__ == "__main__":
    main()
