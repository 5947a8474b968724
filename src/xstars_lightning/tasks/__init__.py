"""LightningModules, one method per file."""

from xstars_lightning.tasks.continual import ContinualXStars
from xstars_lightning.tasks.frozen_evaluation import FrozenEvaluation
from xstars_lightning.tasks.xstars import XStars

__all__ = ["ContinualXStars", "FrozenEvaluation", "XStars"]
