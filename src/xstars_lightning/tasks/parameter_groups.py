"""What the optimizer treats alike."""

from collections.abc import Iterable
from typing import Any

from timm.optim import param_groups_layer_decay, param_groups_weight_decay
from torch import nn

from xstars_lightning.models import CrossSensorEncoder

__all__ = ["parameter_groups"]

Group = dict[str, Any]


def parameter_groups(
    module: nn.Module,
    encoder: CrossSensorEncoder,
    last_layer: nn.Module,
    layer_decay: float,
    known_stems: Iterable[str],
) -> list[Group]:
    """Groups of trainable parameters, each with how its learning rate and weight decay go.

    Args:
        module: The task; all its trainable parameters are taken.
        encoder: Its student's encoder.
        last_layer: DINO's last layer.
        layer_decay: Factor of the learning rate from each block of the trunk to the one below, in
            (0, 1]; 1 for the same rate everywhere.
        known_stems: Patch embeddings that came trained: they go with the lowest layer of the trunk.

    Returns:
        Groups with ``params``; ``decays``, whether weight decay applies (not to biases and norms);
        ``lr_scale``, the factor of the learning rate; and ``part``, ``trunk``, ``last_layer`` or
        an empty text, by which a group may be frozen for a time.
    """
    stems = nn.ModuleDict({key: encoder.patch_embed[key] for key in known_stems})
    if layer_decay < 1:
        trunk = param_groups_layer_decay(encoder.trunk, weight_decay=1.0, layer_decay=layer_decay)
    else:
        trunk = param_groups_weight_decay(encoder.trunk, weight_decay=1.0)
    lowest = min((group.get("lr_scale", 1.0) for group in trunk), default=1.0)  # none if frozen
    groups = [_group(group, "trunk", group.get("lr_scale", 1.0)) for group in trunk]
    groups += [_group(group, "trunk", lowest) for group in param_groups_weight_decay(stems, weight_decay=1.0)]
    last = [p for p in last_layer.parameters() if p.requires_grad]
    groups.append({"params": last, "decays": False, "lr_scale": 1.0, "part": "last_layer"})
    taken = {id(p) for group in groups for p in group["params"]}
    for group in param_groups_weight_decay(module, weight_decay=1.0):
        rest = [p for p in group["params"] if id(p) not in taken]
        groups.append(_group(group | {"params": rest}, "", 1.0))
    return [group for group in groups if group["params"]]


def _group(group: Group, part: str, scale: float) -> Group:
    return {
        "params": group["params"],
        "decays": group["weight_decay"] > 0,
        "weight_decay": 0.0,
        "lr_scale": scale,
        "part": part,
    }
