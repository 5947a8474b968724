"""Losses, and what they need: tensors in, tensors out."""

from xstars_lightning.losses.dino import CrossSensorDINOLoss
from xstars_lightning.losses.msad import MSADLoss
from xstars_lightning.losses.token_grids import overlap, pool_tokens

__all__ = ["CrossSensorDINOLoss", "MSADLoss", "overlap", "pool_tokens"]
