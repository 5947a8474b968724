"""The embedded default: simulated scenes, written once into a cache folder, read like any others."""

import os
from pathlib import Path

from xstars_lightning.datamodules.cross_sensor import CrossSensorDataModule
from xstars_lightning.datasets.simulated import scenes_path, write_scenes
from xstars_lightning.sensors import Sensor, resolve_sensors

__all__ = ["SENSORS", "SimulatedDataModule", "cache_folder"]

#: What is simulated by default: RGB renderings of 1.5 m, 10 m and 30 m.
SENSORS: dict[str, Sensor | str] = {
    "spot": "spot_rgb",
    "sentinel2": "sentinel2_rgb",
    "landsat": "landsat_rgb",
}


def cache_folder() -> Path:
    """The user's folder for files that can be made again: ``$XDG_CACHE_HOME`` or ``~/.cache``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "xstars-lightning"


class SimulatedDataModule(CrossSensorDataModule):
    """Windows on a simulated landscape that several sensors see, with nothing to download.

    See `write_scenes` for the data and `CrossSensorDataModule` for the batches.

    Args:
        root: Folder in which the set of scenes gets a folder of its own; by default the user's cache.
        sensors: Sensor, or its name in the catalogue, per key; by default RGB renderings of SPOT 6/7
            (1.5 m), Sentinel-2 (10 m) and Landsat 8/9 (30 m).
        scenes: Number of scenes.
        extent: Side of a scene in metres, a multiple of 30.
        scene_seed: Another one gives other landscapes; ``seed`` leaves them as they are.
        window: Side of a window in metres.
        batch_size: Windows per batch and process.
        num_workers: Processes that read, per training process.
        windows_per_epoch: Windows of a training epoch, over all processes.
        val_fraction: Share of the ground held out for validation, in blocks.
        block: Side of such a block in metres; by default as in `CrossSensorDataModule`.
        val_area: Raster or vector file that says where to validate, instead of random blocks.
        min_valid: Least share of a window at which every sensor has valid pixels.
        seed: Of the split and the training windows.

    Raises:
        ValueError: If numbers do not fit, or a sensor cannot be simulated.
    """

    def __init__(
        self,
        root: str | None = None,
        sensors: dict[str, Sensor | str] = SENSORS,
        scenes: int = 6,
        extent: float = 3840.0,
        scene_seed: int = 0,
        window: float = 640.0,
        batch_size: int = 32,
        num_workers: int = 0,
        windows_per_epoch: int = 1024,
        val_fraction: float = 0.2,
        block: float | None = None,
        val_area: str | None = None,
        min_valid: float = 0.95,
        seed: int = 0,
    ) -> None:
        resolved = resolve_sensors(sensors)
        self.root = cache_folder() if root is None else Path(root)
        self.scenes, self.extent, self.scene_seed = scenes, extent, scene_seed
        self.folder = scenes_path(self.root, resolved, scenes, extent, scene_seed)
        super().__init__(
            {key: str(self.folder / key) for key in resolved},
            dict(resolved),
            window=window,
            batch_size=batch_size,
            num_workers=num_workers,
            windows_per_epoch=windows_per_epoch,
            val_fraction=val_fraction,
            block=block,
            val_area=val_area,
            min_valid=min_valid,
            seed=seed,
        )

    def prepare_data(self) -> None:
        """Write the scenes, unless they are there."""
        write_scenes(self.root, self.sensors, self.scenes, self.extent, self.scene_seed)

    def setup(self, stage: str) -> None:
        """Index the scenes; write them first where `prepare_data` was not called, as in a notebook.

        Args:
            stage: ``fit`` or ``validate``.
        """
        if not self.folder.exists():
            self.prepare_data()
        super().setup(stage)
