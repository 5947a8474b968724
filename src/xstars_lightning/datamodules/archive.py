"""Indexes of scenes, one per sensor -> batches of windows of pairs that lie near in space and time."""

import logging
import math
import os
from collections.abc import Mapping
from functools import partial

from xstars_lightning.datamodules.areas import read_area
from xstars_lightning.datamodules.arguments import check_same_keys
from xstars_lightning.datamodules.windows import WindowsDataModule
from xstars_lightning.datasets.archive.avoiding import without
from xstars_lightning.datasets.archive.dataset import ArchiveDataset
from xstars_lightning.datasets.archive.fingerprint import fingerprint
from xstars_lightning.datasets.archive.footprints import Footprints, concatenate
from xstars_lightning.datasets.archive.geoparquet import read_index
from xstars_lightning.datasets.archive.joining import finest_sensor, join
from xstars_lightning.datasets.archive.pairs import Pairs
from xstars_lightning.datasets.archive.scan import scan
from xstars_lightning.datasets.archive.times import Match
from xstars_lightning.samplers import commensurable_size
from xstars_lightning.samplers.cells import Cells
from xstars_lightning.samplers.pair_grid import PairGridSampler
from xstars_lightning.samplers.pair_windows import PairWindowSampler
from xstars_lightning.samplers.strata import Strata
from xstars_lightning.sensors import Sensor

__all__ = ["ArchiveDataModule"]

logger = logging.getLogger(__name__)
ENDINGS = (".parquet", ".geoparquet")
MANY = 500  # files


class ArchiveDataModule(WindowsDataModule):
    """Windows of pairs of scenes, from archives of any size, in any number of coordinate systems.

    Batches are those of :class:`WindowsDataModule`, with ``transform_<key>`` (B, 9) and ``bounds`` (B, 9)
    float64, each window in the CRS of the finest sensor's scene.

    Args:
        paths: Index (``xstars index``, or a GeoParquet or STAC catalogue) per sensor, or a list of them;
            folders and files are indexed at each start.
        sensors: Sensor, or its name in the catalogue, under the same keys.
        window: Side of a window in metres; rounded up to whole pixels of all sensors where their
            resolutions have a common multiple.
        batch_size: Windows per batch and process.
        num_workers: Processes that read, per training process.
        windows_per_epoch: Windows of a training epoch, over all processes.
        max_days: Largest difference in days between the scenes of a pair; None: any.
        match: Which of several scenes of the same ground: ``nearest`` in time, of the nearest ``season``
            whatever the year, or ``all``.
        pairs: GeoParquet file for the joined pairs: read if it is there, else written.
        val_fraction: Share of the ground held out for validation, in cells of the globe.
        block: Side of such a cell in metres; ten windows by default.
        avoid: Raster or vector file of ground that windows never touch, such as that of a downstream
            test set.
        strata: Raster of classes, or vector file of regions, to draw equally often.
        strata_column: Column of that vector file that names the region.
        min_valid: Least share of a window that is valid in all scenes of its pair.
        min_sensors: Fewest sensors that must see a window; None: all.
        max_lost: Share of windows that may be replaced, because a remote file cannot be read, before
            the run stops.
        val_windows: Most windows to validate on, spread over all of them.
        seed: Of the split and the training windows.

    Raises:
        ValueError: If keys or numbers do not fit.
    """

    def __init__(
        self,
        paths: dict[str, str | list[str]],
        sensors: dict[str, Sensor | str],
        window: float = 640.0,
        batch_size: int = 32,
        num_workers: int = 0,
        windows_per_epoch: int = 1024,
        max_days: float | None = None,
        match: Match = "nearest",
        pairs: str | None = None,
        val_fraction: float = 0.1,
        block: float | None = None,
        avoid: str | None = None,
        strata: str | None = None,
        strata_column: str | None = None,
        min_valid: float = 0.95,
        min_sensors: int | None = None,
        max_lost: float = 0.01,
        val_windows: int = 1024,
        seed: int = 0,
    ) -> None:
        check_same_keys(paths, sensors)
        super().__init__(
            ArchiveDataset, sensors, batch_size, num_workers, windows_per_epoch, min_sensors, max_lost
        )
        self.paths = paths
        self.window = window
        self.max_days = max_days
        self.match: Match = match
        self.pairs = pairs
        self.val_fraction = val_fraction
        self.block = block
        self.avoid = avoid
        self.strata = strata
        self.strata_column = strata_column
        self.min_valid = min_valid
        self.val_windows = val_windows
        self.seed = seed

    def prepare_data(self) -> None:
        """Join the indexes once per machine, if the pairs are to be kept."""
        if self.pairs is not None and not os.path.exists(self.pairs):
            self._join({key: self._index(key) for key in self.paths})

    def open(self) -> None:
        """Read the indexes, join them, and split the globe."""
        indexes = {key: self._index(key) for key in self.paths}
        pairs = self._join(indexes)
        dataset = ArchiveDataset(indexes, self.sensors, pairs)
        self.window = commensurable_size(self.window, dataset.resolutions.values())
        if self.avoid is not None:
            # A window may hold ground that is not its pair's, as much as min_valid allows; a quarter
            # of a disc of this radius is more.
            reach = 2.02 * self.window * math.sqrt((1 - self.min_valid) / math.pi)
            dataset.pairs = pairs = without(pairs, partial(read_area, self.avoid), reach)
        # Reading moves a window by half a pixel at most, and a warp reads a pixel beyond it.
        margin = 2 * max(dataset.resolutions.values())
        strata = None if self.strata is None else Strata.from_file(self.strata, self.strata_column)
        cells = Cells(self.block or 10 * self.window, self.val_fraction, self.seed, margin)
        ground = (pairs, self.window)
        self.train_sampler = PairWindowSampler(
            *ground, self.windows_per_epoch, self.min_valid, cells, strata=strata, seed=self.seed
        )
        if self.val_fraction > 0:
            self.val_sampler = PairGridSampler(*ground, self.min_valid, cells, "val", limit=self.val_windows)
        self.dataset = dataset

    def _index(self, key: str) -> Footprints:
        given = self.paths[key]
        paths = [given] if isinstance(given, str) else given
        if all(path.endswith(ENDINGS) for path in paths):
            bands = len(self.sensors[key].bands)
            parts = [read_index(path, bands=bands) for path in paths]
            return parts[0] if len(parts) == 1 else concatenate(parts, ", ".join(paths))
        found = scan(paths, self.sensors[key])
        if len(found) > MANY:
            logger.warning(
                "Index %s once, by `xstars index`: %d files are opened at each start.", key, len(found)
            )
        return found

    def _join(self, indexes: Mapping[str, Footprints]) -> Pairs:
        # A catalogue may not tell the size of its pixels.
        nominal = {key: sensor.resolution for key, sensor in self.sensors.items()}
        options = (finest_sensor(indexes, nominal), self.max_days, self.match, self.min_sensors)
        if self.pairs is not None and os.path.exists(self.pairs):
            return Pairs.read(self.pairs, fingerprint(indexes, *options))
        pairs = join(indexes, *options)
        if self.pairs is not None:
            pairs.write(self.pairs)
        return pairs
