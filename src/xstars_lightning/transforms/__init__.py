"""Batches -> views, batched, on the device."""

from xstars_lightning.transforms.crops import average_down, crop, random_crops
from xstars_lightning.transforms.multicrop import MultiCrop, Views
from xstars_lightning.transforms.photometric import Photometric

__all__ = ["MultiCrop", "Photometric", "Views", "average_down", "crop", "random_crops"]
