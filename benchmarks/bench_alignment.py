"""The alignment branch in batched products against the way of the X-STARS release, a loop over tokens.

The branch is a forward and backward pass of the encoder for the whole windows of two sensors, of the heads
and of the loss, in float32. Three ways, in turn:

- release: attention without fused kernels, a pass per sensor, three heads and the loss token by token, its
  gradient restored.
- same: our encoder, and the same heads and loss for all tokens at once. Equal losses show that it is the same
  function.
- ours: our encoder, one shared head, and the loss that XStars takes by default.

    python benchmarks/bench_alignment.py
"""

import json
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from floor import bare_copy, bare_product, floor_of
from measure import in_turn, machine
from ours import SENSORS, batch
from peers.plain_encoder import PlainEncoder
from peers.release_alignment import ReleaseAlignment
from xstars_lightning.allocator import keep_blocks
from xstars_lightning.losses import MSADLoss
from xstars_lightning.models import AlignmentHead, CrossSensorEncoder
from xstars_lightning.tasks.alignment import Alignment
from xstars_lightning.tasks.token_views import TokenViews

BACKBONES, BATCHES, ROUNDS, SIDE = ("vit_tiny_patch16_224", "vit_small_patch16_224"), (8, 32), 5, 224
GOAL = 2.3


def ways_of(backbone: str, windows: int) -> dict[str, Callable[[], Tensor]]:
    """The three ways for whole windows of two sensors, with the same weights."""
    torch.manual_seed(0)
    encoder, plain = CrossSensorEncoder(SENSORS, backbone), PlainEncoder(backbone)
    plain.load(encoder)
    heads = ReleaseAlignment(encoder.embed_dim)
    head = AlignmentHead(encoder.embed_dim, 2048)
    shared = Alignment(head, MSADLoss(image_negatives=True))
    images = {name: F.interpolate(x, SIDE) for name, x in batch(SENSORS, windows).items() if "image" in name}
    images = {name: images[f"image_{name}"] for name in SENSORS}
    standardized = [encoder.standardize[name](image) for name, image in images.items()]
    valid = torch.ones(windows, (SIDE // encoder.patch_size) ** 2)
    present = torch.ones(windows, dtype=torch.bool)

    def tokens() -> tuple[Tensor, ...]:
        embedded = torch.cat([encoder.embed(image, name) for name, image in images.items()])
        return encoder.contextualize(embedded).chunk(2)

    def ours() -> Tensor:
        views = zip(SENSORS, tokens(), strict=True)
        (loss,) = shared({name: TokenViews(x, valid, present) for name, x in views}, {}).values()
        return loss

    ways = {
        "release": lambda: heads(*(plain(image) for image in standardized)),
        "same": lambda: heads.batched(*tokens()),
        "ours": ours,
    }
    modules = (encoder, plain, heads, shared)
    return {name: lambda way=way: _with_gradient(way, modules) for name, way in ways.items()}


def _with_gradient(way: Callable[[], Tensor], modules: tuple[torch.nn.Module, ...]) -> Tensor:
    for module in modules:
        module.zero_grad(set_to_none=True)
    loss = way()
    loss.backward()
    return loss.detach()


def main() -> None:
    """Print one JSON object."""
    keep_blocks()
    rows = []
    for backbone in BACKBONES:
        for windows in BATCHES:
            ways = ways_of(backbone, windows)
            measured = in_turn(ways, ROUNDS)
            floor = floor_of(ways["ours"], bare_product(), bare_copy())
            rows.append(
                {
                    "backbone": backbone,
                    "batch": windows,
                    "release / same": measured.ratio("release", "same"),
                    "release / ours": measured.ratio("release", "ours"),
                    "goal": GOAL,
                    "loss, release": measured.values["release"],
                    "loss, same": measured.values["same"],
                    "loss, ours": measured.values["ours"],
                    **floor.share_of(measured.seconds("ours")["median"]),
                }
            )
            print(rows[-1], flush=True)
    print(json.dumps({"benchmark": "Alignment branch", "machine": machine(), "rows": rows}))


if __name__ == "__main__":
    main()
