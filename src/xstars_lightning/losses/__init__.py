"""Losses: tensors in, scalar out."""

from xstars_lightning.losses.msad import MSADLoss

__all__ = ["MSADLoss"]
