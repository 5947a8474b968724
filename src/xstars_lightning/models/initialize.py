"""An encoder that starts from weights that exist."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import torch
from timm.layers import resample_abs_pos_embed
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from xstars_lightning.models.backbones import fitting_backbone, measure
from xstars_lightning.models.encoder import CrossSensorEncoder
from xstars_lightning.models.pretrained import Pretrained, read_weights
from xstars_lightning.models.stems import BandRule, Stem, choose_stem

__all__ = ["LoadReport", "initialize"]


@dataclass(frozen=True)
class LoadReport:
    """What an encoder took from weights, and what it did not.

    Args:
        source: File or name of the weights.
        matched: Tensors of the trunk that came from the weights.
        total: Tensors of the trunk.
        stems: How every patch embedding of the encoder came to its weights, by its name.
        ignored: Names of the tensors that were not used.
        position: How the position embedding came to its weights.
        known: Names of the patch embeddings whose bands the weights have.
        related: Names of those of which the weights have at least one band.
    """

    source: str
    matched: int
    total: int
    stems: dict[str, str]
    ignored: tuple[str, ...]
    position: str = "copied"
    known: tuple[str, ...] = ()
    related: tuple[str, ...] = ()

    def __str__(self) -> str:
        """One line, for a log."""
        parts = [f"{self.matched} of {self.total} tensors of the trunk"]
        if self.position != "copied":
            parts.append(f"position embedding {self.position}")
        parts += [f"patch embedding {key}: {how}" for key, how in self.stems.items()]
        if self.ignored:
            parts.append(f"{len(self.ignored)} ignored ({_first(self.ignored, 3)})")
        return f"Weights of {self.source}: {'; '.join(parts)}"


def initialize(
    encoder: CrossSensorEncoder, weights: Pretrained | str, band_rule: BandRule = "match"
) -> LoadReport:
    """Put weights into an encoder; its sensors and their statistics stay as they are.

    The trunk must fit in full. A position embedding of another grid is interpolated. A patch
    embedding for the same bands is copied; one for other bands is made from the one that shares
    most bands with it.

    Args:
        encoder: Changed in place, unless something does not fit; parameters stay the same objects.
        weights: Weights, or what :func:`~xstars_lightning.models.pretrained.read_weights` takes.
        band_rule: How a patch embedding for other bands is made: "match", "mean" or "repeat" as
            :func:`~xstars_lightning.models.stems.fit_stem` has it; "new" leaves it at random. Where
            bands have no names, "repeat" takes them in their order.

    Returns:
        What was taken, for a log.

    Raises:
        FileNotFoundError: If the file is missing.
        ValueError: If the rule is unknown, the weights cannot be read, lack a tensor of the trunk,
            have one of another shape or need a part that the trunk lacks, or have no patch
            embedding and ``band_rule`` is not "new". The encoder is unchanged then.
    """
    if band_rule not in get_args(BandRule):
        raise ValueError(f"Unknown band_rule {band_rule!r}; there are {', '.join(get_args(BandRule))}.")
    weights = read_weights(weights) if isinstance(weights, str) else weights
    trunk, position = _fit_trunk(encoder, weights)
    stems = _fit_stems(encoder, weights, band_rule)
    fitted = {f"trunk.{name}": tensor for name, tensor in trunk.items()}
    for key, (stem, _) in stems.items():
        if stem is not None:
            fitted |= {f"patch_embed.{key}.proj.weight": stem[0], f"patch_embed.{key}.proj.bias": stem[1]}
    state = encoder.state_dict()
    with torch.no_grad():
        for name, tensor in fitted.items():
            state[name].copy_(tensor)
    return LoadReport(
        source=weights.source,
        matched=len(trunk),
        total=len(encoder.trunk.state_dict()),
        stems={key: how for key, (_, how) in stems.items()},
        ignored=(*weights.ignored, *(name for name in weights.trunk if name not in trunk)),
        position=position,
        known=tuple(key for key in stems if tuple(key.split("-")) in weights.stems),
        related=tuple(key for key in stems if any({*key.split("-")} & {*bands} for bands in weights.stems)),
    )


def _fit_trunk(encoder: CrossSensorEncoder, weights: Pretrained) -> tuple[dict[str, Tensor], str]:
    """Tensors for the trunk, and how the position embedding came about; raise if any does not fit."""
    own, theirs, position = encoder.trunk.state_dict(), dict(weights.trunk), "copied"
    if "pos_embed" in own and "pos_embed" in theirs:
        theirs["pos_embed"], position = _fit_position(encoder.trunk, theirs["pos_embed"])
    misfits = [name for name in own if name not in theirs]
    misfits += [
        f"{name} {tuple(theirs[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in own.items()
        if name in theirs and theirs[name].shape != tensor.shape
    ]
    if misfits:
        raise ValueError(
            f"{weights.source} does not fit {encoder.backbone}: {len(misfits)} of {len(own)} tensors of the "
            f"trunk are missing or have another shape ({_first(misfits, 8)}). {_advise(encoder, weights)}"
        )
    if lacking := [name for name in theirs if name not in own and name.startswith(_NEEDED)]:
        raise ValueError(
            f"{weights.source} does not fit {encoder.backbone}, which has no place for {len(lacking)} of the "
            f"tensors that make the tokens ({_first(lacking, 8)}). {_advise(encoder, weights)}"
        )
    return {name: theirs[name] for name in own}, position


# Heads may be left out, these may not.
_NEEDED = ("blocks.", "dist_token", "norm_pre.", "reg_token", "register_tokens")


def _fit_position(trunk: VisionTransformer, position: Tensor) -> tuple[Tensor, str]:
    """Position embedding (1, 1 + N, D) for the trunk's grid, and how it came about."""
    classes = 0 if trunk.no_embed_class else trunk.num_prefix_tokens
    patches = position.shape[1] - classes if position.ndim == 3 else 0
    side, grid = math.isqrt(max(patches, 0)), trunk.patch_embed.grid_size
    if side == 0 or side**2 != patches or (side, side) == grid:
        return position, "copied"
    resized = resample_abs_pos_embed(position, list(grid), num_prefix_tokens=classes)
    return resized, f"resized from {side} x {side} to {grid[0]} x {grid[1]} patches"


def _fit_stems(
    encoder: CrossSensorEncoder, weights: Pretrained, rule: BandRule
) -> dict[str, tuple[Stem | None, str]]:
    """Every patch embedding of the encoder, by its name, and how it came about; raise if none can be."""
    if not weights.stems and rule != "new":
        raise ValueError(
            f"{weights.source} has no patch embedding of shape (D, C, p, p); choose band_rule 'new', which "
            "leaves those of the encoder at random, or other weights."
        )
    if wrong := {len(part) for stem in weights.stems.values() for part in stem} - {encoder.embed_dim}:
        raise ValueError(
            f"{weights.source}: patch embeddings of width {wrong}, tokens of {encoder.embed_dim}."
        )
    return {
        "-".join(sensor.bands): choose_stem(weights.stems, sensor.bands, encoder.patch_size, rule)
        for sensor in encoder.sensors.values()
    }


def _advise(encoder: CrossSensorEncoder, weights: Pretrained) -> str:
    """Which backbone the weights would fit."""
    if {"reg_token", "register_tokens"} & {*weights.trunk}:
        return "Encoders have no register tokens; take weights without."
    width, blocks = measure(weights)
    fitting = fitting_backbone(weights, (14, 16))
    found = f"The weights have {blocks} blocks of width {width}"
    if fitting is None or fitting == encoder.backbone.split(".")[0]:
        return f"{found}; are they complete, and of a transformer like this one?"
    return f"{found}, as the backbone {fitting} has."


def _first(names: Sequence[str], count: int) -> str:
    return ", ".join(names[:count]) + (", ..." if len(names) > count else "")
