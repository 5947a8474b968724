"""Where to look: geographic windows."""

from xstars_lightning.samplers.cells import Cells
from xstars_lightning.samplers.grid_windows import GridWindowSampler
from xstars_lightning.samplers.pair_grid import PairGridSampler
from xstars_lightning.samplers.pair_windows import PairWindowSampler
from xstars_lightning.samplers.random_windows import RandomWindowSampler
from xstars_lightning.samplers.sizes import commensurable_size
from xstars_lightning.samplers.split import Split, split_at, split_blocks
from xstars_lightning.samplers.strata import Strata
from xstars_lightning.samplers.stream import WindowStream

__all__ = [
    "Cells",
    "GridWindowSampler",
    "PairGridSampler",
    "PairWindowSampler",
    "RandomWindowSampler",
    "Split",
    "Strata",
    "WindowStream",
    "commensurable_size",
    "split_at",
    "split_blocks",
]
