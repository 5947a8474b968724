"""Encoder, heads, reading and writing of weights."""

from xstars_lightning.models.encoder import CrossSensorEncoder
from xstars_lightning.models.heads import AlignmentHead
from xstars_lightning.models.initialize import LoadReport, initialize
from xstars_lightning.models.pretrained import Pretrained, read_weights
from xstars_lightning.models.stems import BandRule
from xstars_lightning.models.weights import load_encoder, save_encoder

__all__ = [
    "AlignmentHead",
    "BandRule",
    "CrossSensorEncoder",
    "LoadReport",
    "Pretrained",
    "initialize",
    "load_encoder",
    "read_weights",
    "save_encoder",
]
