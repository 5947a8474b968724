"""Folders of rasters, one per sensor -> batches of windows that show all or enough of them."""

import shapely

from xstars_lightning.datamodules.areas import read_area
from xstars_lightning.datamodules.arguments import check_same_keys
from xstars_lightning.datamodules.windows import WindowsDataModule
from xstars_lightning.datasets.cross_sensor import CrossSensorDataset
from xstars_lightning.datasets.raster import NativeRasterDataset
from xstars_lightning.samplers import GridWindowSampler, RandomWindowSampler, commensurable_size
from xstars_lightning.samplers.split import Split, split_at, split_blocks
from xstars_lightning.samplers.strata import Strata
from xstars_lightning.sensors import Sensor

__all__ = ["CrossSensorDataModule"]


class CrossSensorDataModule(WindowsDataModule):
    """Windows on the ground that several sensors share, each sensor a mosaic of its files.

    Batches are those of :class:`WindowsDataModule`, with ``transform_<key>`` (B, 9) and ``bounds`` (B, 9)
    float64. Dates play no part: for those, and for archives in many UTM zones, see
    :class:`ArchiveDataModule`.

    Args:
        paths: Folder, glob, file or index (``xstars index``), or a list of them, per sensor.
        sensors: Sensor, or its name in the catalogue, under the same keys.
        window: Side of a window in metres; rounded up to whole pixels of all sensors where their
            resolutions have a common multiple.
        batch_size: Windows per batch and process.
        num_workers: Processes that read, per training process.
        windows_per_epoch: Windows of a training epoch, over all processes.
        val_fraction: Share of the ground held out for validation, in blocks.
        block: Side of such a block in metres; three windows by default.
        val_area: Raster or vector file that says where to validate, instead of random blocks;
            windows that touch it never train.
        avoid: Raster or vector file of ground that windows never touch, such as that of a downstream
            test set.
        strata: Raster of classes, or vector file of regions, to draw equally often.
        strata_column: Column of that vector file that names the region.
        min_valid: Least share of a window at which every sensor, or ``min_sensors``, has valid pixels.
        min_sensors: Fewest sensors that must see a window; None: all. With 1, windows serve
            self-distillation alone, with 2 or more also alignment.
        max_lost: Share of windows that may be replaced, because a remote file cannot be read, before
            the run stops.
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
        val_fraction: float = 0.2,
        block: float | None = None,
        val_area: str | None = None,
        avoid: str | None = None,
        strata: str | None = None,
        strata_column: str | None = None,
        min_valid: float = 0.95,
        min_sensors: int | None = None,
        max_lost: float = 0.01,
        seed: int = 0,
    ) -> None:
        check_same_keys(paths, sensors)
        super().__init__(
            CrossSensorDataset, sensors, batch_size, num_workers, windows_per_epoch, min_sensors, max_lost
        )
        self.paths = paths
        self.window = window
        self.val_fraction = val_fraction
        self.block = block
        self.val_area = val_area
        self.avoid = avoid
        self.strata = strata
        self.strata_column = strata_column
        self.min_valid = min_valid
        self.seed = seed

    def open(self) -> None:
        """Index the files and split the ground."""
        dataset = CrossSensorDataset(
            {key: NativeRasterDataset(self.paths[key], sensor) for key, sensor in self.sensors.items()},
            min_sensors=self.min_sensors,
        )
        resolutions = [child.resolution for child in dataset.datasets.values()]
        self.window = commensurable_size(self.window, resolutions)
        split = self._split(dataset)
        ground = (dataset.snap, split.train, self.min_valid)
        strata = None if self.strata is None else Strata.from_file(self.strata, self.strata_column)
        self.train_sampler = RandomWindowSampler(
            dataset.area,
            self.window,
            self.windows_per_epoch,
            *ground,
            seed=self.seed,
            strata=strata,
            crs=dataset.crs,
        )
        if self.val_area is not None or self.val_fraction > 0:
            self.val_sampler = GridWindowSampler(
                dataset.area, self.window, dataset.snap, split.val, self.min_valid
            )
        self.dataset = dataset

    def _split(self, dataset: CrossSensorDataset) -> Split:
        *steps, x, y = dataset.snap
        # A warp reads a pixel beyond the window; on either side of the border that makes two.
        margin = 2 * max(steps)
        if self.val_area is not None:
            split = split_at(dataset.area, read_area(self.val_area, dataset.crs), margin)
        else:
            block = self.block or 3 * self.window
            sides = tuple(max(round(block / step), 1) * step for step in steps)
            split = split_blocks(
                dataset.area, (sides[0], sides[1]), self.val_fraction, self.seed, margin, (x, y)
            )
        if self.avoid is None:
            return split
        avoided = shapely.buffer(read_area(self.avoid, dataset.crs), margin, join_style="mitre")
        return Split(*(shapely.difference(part, avoided) for part in split))
