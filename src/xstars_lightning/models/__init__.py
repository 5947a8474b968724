"""Encoder, heads, reading and writing of weights."""

from xstars_lightning.models.encoder import CrossSensorEncoder
from xstars_lightning.models.heads import AlignmentHead
from xstars_lightning.models.weights import load_encoder, save_encoder

__all__ = ["AlignmentHead", "CrossSensorEncoder", "load_encoder", "save_encoder"]
