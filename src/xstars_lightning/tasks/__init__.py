"""LightningModules, one method per file."""

from xstars_lightning.tasks.xstars import XStars

__all__ = ["XStars"]
