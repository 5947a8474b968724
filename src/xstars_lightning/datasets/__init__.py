"""What lies on disk -> samples."""

from xstars_lightning.datasets.cross_sensor import CrossSensorDataset
from xstars_lightning.datasets.raster import NativeRasterDataset
from xstars_lightning.datasets.simulated import scenes_path, write_scenes

__all__ = ["CrossSensorDataset", "NativeRasterDataset", "scenes_path", "write_scenes"]
