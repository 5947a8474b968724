"""Which transformer of timm weights are of, as far as their shapes tell."""

from collections.abc import Sequence

import timm

from xstars_lightning.models.pretrained import Pretrained

__all__ = ["fitting_backbone", "measure"]

_SIZES = {(192, 12): "tiny", (384, 12): "small", (768, 12): "base", (1024, 24): "large", (1280, 32): "huge"}


def fitting_backbone(weights: Pretrained, patches: Sequence[int] = ()) -> str | None:
    """Name of the plain transformer of timm that has the sizes of weights; None if there is none.

    Args:
        weights: Their patches are looked for first.
        patches: Sides in pixels that will do too.
    """
    if any(name.startswith("norm_pre.") for name in weights.trunk):
        return None  # of CLIP, whose transformers are no plain ones
    own = [stem[0].shape[-1] for stem in weights.stems.values()]
    kind = "dinov2" if any(".ls1." in name for name in weights.trunk) else "224"
    names = [f"vit_{_SIZES.get(measure(weights))}_patch{patch}_{kind}" for patch in (*own, *patches)]
    return next(filter(timm.is_model, names), None)


def measure(weights: Pretrained) -> tuple[int, int]:
    """Width of the tokens, 0 if there is no class token, and number of blocks."""
    blocks = {name.split(".")[1] for name in weights.trunk if name.startswith("blocks.")}
    return weights.trunk["cls_token"].shape[-1] if "cls_token" in weights.trunk else 0, len(blocks)
