"""Pre-cut, aligned images of several sensors -> samples."""

from xstars_lightning.datasets.chips.aligned_stacks import AlignedStacks
from xstars_lightning.datasets.chips.base import ChipDataset
from xstars_lightning.datasets.chips.flair_hub import FLAIRHubPairs
from xstars_lightning.datasets.chips.msc_france import MSCFrance
from xstars_lightning.datasets.chips.treesatai import TreeSatAI
from xstars_lightning.datasets.chips.worldstrat import WorldStrat

__all__ = ["AlignedStacks", "ChipDataset", "FLAIRHubPairs", "MSCFrance", "TreeSatAI", "WorldStrat"]
