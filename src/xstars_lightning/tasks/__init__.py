"""LightningModules, one method per file."""

from xstars_lightning.tasks.classification import FineTuneClassification
from xstars_lightning.tasks.continual import ContinualXStars
from xstars_lightning.tasks.embed import Embed
from xstars_lightning.tasks.frozen_evaluation import FrozenEvaluation
from xstars_lightning.tasks.segmentation import FineTuneSegmentation
from xstars_lightning.tasks.segmentation_probe import SegmentationProbe
from xstars_lightning.tasks.xstars import XStars

__all__ = [
    "ContinualXStars",
    "Embed",
    "FineTuneClassification",
    "FineTuneSegmentation",
    "FrozenEvaluation",
    "SegmentationProbe",
    "XStars",
]
