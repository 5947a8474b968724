"""The alignment branch in batched products against the way of the X-STARS release, a loop over tokens.

The branch is a forward and backward pass of the encoder for the whole windows of two sensors, of the heads
and of the loss, in float32. Four ways, in turn:

- release: attention without fused kernels, a pass per sensor, three heads and the loss token by token, its
  gradient restored.
- same: our encoder, and the same heads and loss for all tokens at once. Equal losses show that it is the same
  function.
- ours: our encoder, one shared head, and the loss that XStars takes by default.
- in a step: what alignment adds to a training step of ours. The tokens are there already, those of DINO's
  two global crops, which is twice as many; head and loss follow, and a gradient back to the tokens. The step
  of the release has the whole branch besides DINO. The goal is for the branch, not for this.

    python benchmarks/bench_alignment.py
"""

import json
from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from floor import bare_copy, bare_product, floor_of
from measure import in_turn
from ours import SENSORS, batch
from peers.plain_encoder import PlainEncoder
from peers.release_alignment import ReleaseAlignment
from xstars_lightning.allocator import keep_blocks
from xstars_lightning.losses import MSADLoss
from xstars_lightning.models import AlignmentHead, CrossSensorEncoder
from xstars_lightning.models.recompute import recompute_activations
from xstars_lightning.tasks.alignment import Alignment
from xstars_lightning.tasks.token_views import TokenViews

BACKBONES, BATCHES, ROUNDS, SIDE = ("vit_tiny_patch16_224", "vit_small_patch16_224"), (8, 32), 5, 224
GOAL = 2.3


def ways_of(
    backbone: str, windows: int, device: str = "cpu", precision: torch.dtype | None = None
) -> dict[str, Callable[[], Tensor]]:
    """The four ways for whole windows of two sensors, with the same weights."""
    torch.manual_seed(0)
    encoder, plain = CrossSensorEncoder(SENSORS, backbone), PlainEncoder(backbone)
    plain.load(encoder)
    recompute_activations(encoder.trunk)  # as XStars does
    heads = ReleaseAlignment(encoder.embed_dim)
    head = AlignmentHead(encoder.embed_dim, 2048)
    shared = Alignment(head, MSADLoss(image_negatives=True))
    modules = nn.ModuleList((encoder, plain, heads, shared)).to(device)
    seen = batch(SENSORS, windows, device=device)
    images = {name: F.interpolate(seen[f"image_{name}"], SIDE) for name in SENSORS}
    standardized = [encoder.standardize[name](image) for name, image in images.items()]
    valid = torch.ones(windows, (SIDE // encoder.patch_size) ** 2, device=device)
    present = torch.ones(windows, dtype=torch.bool, device=device)

    def tokens() -> tuple[Tensor, ...]:
        embedded = torch.cat([encoder.embed(image, name) for name, image in images.items()])
        return encoder.contextualize(embedded).chunk(2)

    def align(views: int, tokens: Iterable[Tensor]) -> Tensor:
        seen = {
            name: TokenViews(x, valid.repeat(views, 1), present)
            for name, x in zip(SENSORS, tokens, strict=True)
        }
        (loss,) = shared(seen, {}).values()
        return loss

    with torch.no_grad():
        there = [x.repeat(2, 1, 1) for x in tokens()]
    ways: dict[str, Callable[[], Tensor]] = {
        "release": lambda: heads(*(plain(image) for image in standardized)),
        "same": lambda: heads.batched(*tokens()),
        "ours": lambda: align(1, tokens()),
        "in a step": lambda: align(2, [x.detach().requires_grad_() for x in there]),
    }

    def with_gradient(way: Callable[[], Tensor]) -> Tensor:
        modules.zero_grad(set_to_none=True)
        with torch.autocast(device, precision, enabled=precision is not None):
            loss = way()
        loss.backward()
        return loss.detach()

    return {name: lambda way=way: with_gradient(way) for name, way in ways.items()}


def main() -> None:
    """Print one JSON object."""
    keep_blocks()
    rows, added = [], []
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
            added.append({"backbone": backbone, "batch": windows})
            added[-1]["release / in a step"] = measured.ratio("release", "in a step")
            print(rows[-1], added[-1], flush=True)
    print(json.dumps({"benchmark": "Alignment branch", "rows": rows, "What it adds to a step": added}))


if __name__ == "__main__":
    main()
