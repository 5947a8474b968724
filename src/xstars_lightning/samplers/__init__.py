"""Where to look: geographic windows."""

from xstars_lightning.samplers.grid_windows import GridWindowSampler
from xstars_lightning.samplers.random_windows import RandomWindowSampler
from xstars_lightning.samplers.sizes import commensurable_size
from xstars_lightning.samplers.split import Split, split_at, split_blocks

__all__ = [
    "GridWindowSampler",
    "RandomWindowSampler",
    "Split",
    "commensurable_size",
    "split_at",
    "split_blocks",
]
